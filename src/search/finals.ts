/**
 * The finals: a few structures are trained from the inherited weights, for half of the further epochs, before one of them is
 * chosen and trained to the end. With inherited weights alone the order of good structures is noise (docs/search.md).
 */
import { type AdaptedModel, inheritedModel } from "../adapters/adapted-model.js";
import type { Genome } from "../adapters/structure.js";
import { rngStream } from "../base/rng.js";
import type { Split, SplitName } from "../data/dataset.js";
import { Fields } from "../formats/fields.js";
import type { TrainOptions } from "../training/options.js";
import { fileOf, type RunStore, readStored } from "../training/store.js";
import { classesOf } from "../training/train.js";
import { type Candidate, type Fitness, ranking, type Score } from "./candidate.js";
import { brokenLine, jsonLines } from "./json-lines.js";
import { hasDiverged, type RunContext, trainPhase } from "./phases.js";
import { epochOfFinals } from "./plan.js";

/** A finalist and its best validation in the finals. */
export interface Finalist extends Score {
  readonly candidate: Candidate<Genome>;
}

/** Of the candidates the seeds in their order, then the best others, which have one place at least; of one place the best alone. */
export function finalistsOf<G>(history: readonly Candidate<G>[], places: number, fitness: Fitness): Candidate<G>[] {
  const ranked = [...history].sort(ranking(fitness));
  if (places <= 1) return ranked.slice(0, 1);
  const seeds = history.filter(({ origin }) => origin === "seed").slice(0, places - 1);
  const others = ranked.filter((candidate) => !seeds.includes(candidate));
  return [...seeds, ...others.slice(0, places - seeds.length)];
}

/**
 * The place of the one to go on with. Classes: an earlier one gives way only to an accuracy p that is better by more than its
 * standard error √(p·(1 − p)/n), as of structures that are equal on n examples the luckiest looks best. Otherwise the lowest loss.
 *
 * @param examples  of the validation split; 0 where the examples are of no class
 */
export function chooseFinalist(scores: readonly Score[], examples: number): number {
  if (examples === 0) return scores.reduce((best, { loss }, i) => (loss < scores[best]!.loss ? i : best), 0);
  const most = Math.max(...scores.map(({ accuracy }) => accuracy));
  const least = most - Math.sqrt((most * (1 - most)) / examples);
  return scores.findIndex(({ accuracy }) => accuracy >= least);
}

/** The winner's checkpoint goes on from the finals, so that its score there is kept apart: by candidate. */
const FINALS = "finals.jsonl";

async function storedScores(store: RunStore): Promise<ReadonlyMap<number, Score>> {
  const file = fileOf(store, FINALS);
  const stored = await readStored(store, FINALS);
  if (stored === undefined) return new Map();
  const lines = jsonLines(stored, file);
  const scores = lines.map(({ json, number }): readonly [number, Score] => {
    const fields = new Fields(json);
    const index = fields.natural("index", undefined, 0);
    const [accuracy, loss] = [fields.numbers("accuracy")[0]!, fields.numbers("loss")[0]!];
    if (fields.problems.length > 0) throw brokenLine(file, number, `not a finalist (${fields.problems[0]})`);
    return [index, { accuracy, loss }];
  });
  await store.write(FINALS, lines.map(({ text }) => text).join("")); // without a line that was cut
  return new Map(scores);
}

export interface Finals {
  readonly adapted: AdaptedModel;
  readonly winner: Candidate<Genome>;
  readonly finalists: readonly Finalist[];
}

/** Trains the finalists, and the chosen one to the end; its best state is what is given back. */
export async function finalsPhase(
  net: AdaptedModel,
  candidates: readonly Candidate<Genome>[],
  splits: Record<SplitName, Split>,
  options: TrainOptions,
  run: RunContext,
): Promise<Finals> {
  const until = epochOfFinals(options);
  const model = ({ genome }: Candidate<Genome>): AdaptedModel =>
    inheritedModel(net, genome, rngStream(options.seed, "inherited values"));
  // A structure that adapts nothing, on a model whose head is frozen, has nothing to train.
  const trainable = candidates.filter((candidate) => model(candidate).parameters.length > 0);
  const name = ({ index }: Candidate<Genome>): string => (trainable.length > 1 ? `further-${index}` : "further");
  const known = await storedScores(run.store);
  const finalists: Finalist[] = [];
  let diverged: unknown;
  for (const [i, candidate] of (trainable.length > 1 ? trainable : []).entries()) {
    const part = `finalist ${i + 1} of ${trainable.length}`;
    const leg = { phase: "finals", name: name(candidate), part, until } as const;
    const train = async (): Promise<Score> => {
      const { best } = await trainPhase(leg, model(candidate), splits, options, run);
      const { accuracy, loss } = best!;
      await run.store.append(FINALS, `${JSON.stringify({ index: candidate.index, accuracy, loss })}\n`);
      return { accuracy, loss };
    };
    try {
      finalists.push({ candidate, ...(known.get(candidate.index) ?? (await train())) });
    } catch (thrown) {
      if (!hasDiverged(thrown)) throw thrown;
      diverged = thrown;
      run.tell({ type: "note", text: `${leg.name} is out: ${thrown.message}` });
    }
  }
  if (diverged && finalists.length === 0) throw diverged;
  const examples = classesOf(net.model) > 0 ? splits.validation.size : 0;
  const winner = finalists[chooseFinalist(finalists, examples)]?.candidate ?? trainable[0] ?? candidates[0]!;
  const adapted = model(winner);
  if (trainable.length === 0) return { adapted, winner, finalists };
  const { best } = await trainPhase({ phase: "further", name: name(winner) }, adapted, splits, options, run);
  if (best) adapted.parameters.set(best.parameters);
  return { adapted, winner, finalists };
}
