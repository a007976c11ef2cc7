import { GloraError, throwIfAborted } from "../base/errors.js";
import { type Rng, rngStream } from "../base/rng.js";
import { type Candidate, type Fitness, type Origin, ranking, type Score } from "./candidate.js";
import { paretoFront } from "./pareto.js";

/** What a search must be able to do with a genome; it knows nothing else about them. */
export interface Genes<G> {
  random(rng: Rng): G;
  /** A child that redraws each gene with probability `rate`. */
  mutate(parent: G, rate: number, rng: Rng): G;
  /** A child with each gene from one of two parents. */
  crossover(a: G, b: G, rng: Rng): G;
  /** The genome moved inside the budget; as it is where it is inside. */
  repair(genome: G, rng: Rng): G;
  /** Equal for genomes of equal function, and only for these. */
  key(genome: G): string;
  /** Parameters. */
  count(genome: G): number;
}

export interface EvolutionSettings {
  /** Candidates of the random start and of each generation. Default 50. */
  readonly population?: number;
  /** Generations after the random start; 0 is a random search. Default 20. */
  readonly generations?: number;
  /** How many of the best so far have children. Default 10. */
  readonly parents?: number;
  /** Children of one parent in each generation. Default 25. */
  readonly mutants?: number;
  /** Children of two parents in each generation. Default 25. */
  readonly crossovers?: number;
  /** Probability that a mutant redraws a gene. Default 0.2. */
  readonly mutationRate?: number;
  /** Default "accuracy". */
  readonly fitness?: Fitness;
  /** All chance of the search comes from it. */
  readonly seed: number;
}

export interface EvolutionOptions<G> extends EvolutionSettings {
  readonly genes: Genes<G>;
  /** Evaluates a candidate; called once for each, one after the other. */
  readonly score: (genome: G, signal: AbortSignal | undefined) => Promise<Score>;
  /** Genomes that the start begins with, in place of as many random ones. Default: none, as published. */
  readonly seeds?: readonly G[];
  /** The history of an interrupted search with the same settings, space and budget, which this one continues. */
  readonly history?: readonly Candidate<G>[] | undefined;
  /** Called for each new candidate: the place to save the history. */
  readonly onCandidate?: ((candidate: Candidate<G>) => void | Promise<void>) | undefined;
  readonly onProgress?: ((progress: EvolutionProgress<G>) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EvolutionProgress<G> {
  /** Scores given so far, those of an interrupted search among them, and how many there will be at most. */
  readonly done: number;
  readonly total: number;
  readonly candidate: Candidate<G>;
  readonly best: Candidate<G>;
}

export interface EvolutionResult<G> {
  readonly best: Candidate<G>;
  /** Parameters against fitness, from the fewest parameters up. */
  readonly front: readonly Candidate<G>[];
  /** Every candidate in the order of evaluation. */
  readonly history: readonly Candidate<G>[];
  /** Why the search ended before its last generation; absent where it did not. */
  readonly note?: string;
}

interface Proposal<G> {
  readonly origin: Origin;
  readonly parents: readonly Candidate<G>[];
  readonly genome: G;
  readonly key: string;
}

/** Draws for each wanted mutant or crossover, as in the authors' code; what is missing then is drawn at random. */
const DRAWS_PER_CHILD = 10;
/** Random draws without a new candidate after which the space counts as exhausted. The authors' code goes on for ever. */
const FRUITLESS_DRAWS = 500;

/**
 * Evolutionary search as published with GLoRA (Chavan et al., 2023, arXiv:2306.07967, with the authors' settings): a
 * random start, `seeds` first where there are any; then in each generation the best so far have mutants and crossovers, topped up with random candidates.
 * Every candidate is repaired to meet the budget, and none is scored twice. Ties are broken as {@link ranking} says.
 *
 * Each generation draws from a stream of its own, before its first candidate is scored. So history and settings determine
 * what follows: a search that is interrupted at any point and given its history back ends with the same bits.
 *
 * @throws {GloraError} USAGE for settings out of range or a score that is no number; CONFIG if `history` is of another
 *   search; ABORTED on `signal`; and whatever `score` and `genes` throw
 */
export async function evolve<G>(options: EvolutionOptions<G>): Promise<EvolutionResult<G>> {
  const settings = checkSettings(options);
  const { generations, fitness } = settings;
  const { genes, seeds = [], history: earlier = [], signal } = options;
  const better = ranking(fitness);
  const history: Candidate<G>[] = [];
  const seen = new Set<string>();
  let best: Candidate<G> | undefined;
  let note: string | undefined;

  for (let generation = 0; generation <= generations; generation++) {
    const start = generation === 0 ? seeds.slice(0, settings.population) : [];
    const proposals = propose(genes, settings, generation, [...history].sort(better), start, seen);
    if (proposals.length === 0) {
      note = exhausted(generation, history.length, settings);
      break;
    }
    for (const { genome, key, origin, parents } of proposals) {
      const index = history.length;
      const known = earlier[index];
      if (known && known.key !== key) throw foreignHistory(index);
      if (!known) throwIfAborted(signal);
      const { accuracy, loss } = known ?? checkScore(await options.score(genome, signal), index);
      const from = parents.map((parent) => parent.index);
      const parameters = genes.count(genome);
      const candidate = { index, generation, origin, parents: from, key, genome, parameters, accuracy, loss };
      history.push(candidate);
      if (!best || better(candidate, best) < 0) best = candidate;
      if (known) continue;
      await options.onCandidate?.(candidate);
      options.onProgress?.({ done: history.length, total: totalOf(settings), candidate, best });
    }
  }
  if (earlier.length > history.length) throw foreignHistory(history.length);

  return { best: best!, front: paretoFront(history, fitness), history, ...(note && { note }) };
}

/** All candidates of one generation: new ones only, inside the budget. `ranked` is the history, best first. */
function propose<G>(
  genes: Genes<G>,
  settings: Required<EvolutionSettings>,
  generation: number,
  ranked: readonly Candidate<G>[],
  seeds: readonly G[],
  seen: Set<string>,
): Proposal<G>[] {
  const rng = rngStream(settings.seed, `search generation ${generation}`);
  const parents = ranked.slice(0, settings.parents);
  const proposals: Proposal<G>[] = [];

  /** Takes the child in, unless it has been seen. */
  const admit = (origin: Origin, from: readonly Candidate<G>[], child: G): boolean => {
    const genome = genes.repair(child, rng);
    const key = genes.key(genome);
    if (seen.has(key)) return false;
    seen.add(key);
    proposals.push({ origin, parents: from, genome, key });
    return true;
  };
  const breed = (wanted: number, draw: () => boolean): void => {
    let made = 0;
    for (let left = wanted * DRAWS_PER_CHILD; left > 0 && made < wanted; left--) if (draw()) made++;
  };

  for (const seed of seeds) admit("seed", [], seed);
  if (parents.length > 0) {
    breed(settings.mutants, () => {
      const parent = rng.pick(parents);
      return admit("mutant", [parent], genes.mutate(parent.genome, settings.mutationRate, rng));
    });
    breed(settings.crossovers, () => {
      const [a, b] = [rng.pick(parents), rng.pick(parents)];
      return admit("crossover", [a, b], genes.crossover(a.genome, b.genome, rng));
    });
  }
  for (let fruitless = 0; proposals.length < settings.population && fruitless < FRUITLESS_DRAWS; ) {
    fruitless = admit("random", [], genes.random(rng)) ? 0 : fruitless + 1;
  }
  return proposals;
}

/** Candidates of a search that finds as many new ones as it wants. */
function totalOf({ population, generations, mutants, crossovers }: Required<EvolutionSettings>): number {
  return population + generations * Math.max(population, mutants + crossovers);
}

function checkSettings(options: EvolutionSettings): Required<EvolutionSettings> {
  const { population = 50, generations = 20, parents = 10, mutants = 25, crossovers = 25 } = options;
  const { mutationRate = 0.2, fitness = "accuracy", seed } = options;
  const least = { population: 1, generations: 0, parents: 1, mutants: 0, crossovers: 0 };
  const counts = { population, generations, parents, mutants, crossovers };
  for (const [name, minimum] of Object.entries(least)) {
    const value = counts[name as keyof typeof counts];
    if (Number.isInteger(value) && value >= minimum) continue;
    throw new GloraError("USAGE", `The search needs a whole number of ${name}, at least ${minimum}; got ${value}.`, {
      setting: name,
      actual: value,
    });
  }
  if (!(mutationRate >= 0 && mutationRate <= 1)) {
    throw new GloraError("USAGE", `mutationRate is a probability: expected 0 to 1, got ${mutationRate}.`, {
      setting: "mutationRate",
      actual: mutationRate,
    });
  }
  return { ...counts, mutationRate, fitness, seed };
}

function checkScore({ accuracy, loss }: Score, index: number): Score {
  if (Number.isFinite(accuracy)) return { accuracy, loss: Number.isFinite(loss) ? loss : Number.POSITIVE_INFINITY };
  throw new GloraError(
    "USAGE",
    `The score of candidate ${index} has accuracy ${accuracy}; a score must give a finite number, larger where ` +
      "better. (A loss may be infinite: such a candidate comes last among equals.)",
    { candidate: index, accuracy },
  );
}

function exhausted(generation: number, found: number, settings: Required<EvolutionSettings>): string {
  return (
    `No new candidate turned up for generation ${generation} of ${settings.generations}: the space within the budget is ` +
    `exhausted, or nearly so. The search ends with ${found} of ${totalOf(settings)} candidates.`
  );
}

function foreignHistory(index: number): GloraError {
  return new GloraError(
    "CONFIG",
    `The history does not belong to this search: its candidate ${index} is not the one that these settings lead to. ` +
      "Continue with the seed, settings, space and budget that the history was made with, or start anew without it.",
    { candidate: index },
  );
}
