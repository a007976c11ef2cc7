import { expect, test } from "vitest";
import type { Rng } from "../base/rng.js";
import { type Candidate, ranking, type Score } from "./candidate.js";
import { type EvolutionOptions, evolve, type Genes } from "./evolution.js";

/** A toy: `length` genes with forms 0 … 3, form f of gene i costs f·(i + 1) parameters. */
function toyGenes(length: number, { min = 0, max = Number.POSITIVE_INFINITY, forms = 4 } = {}): Genes<number[]> {
  const count = (genome: number[]) => genome.reduce((sum, form, i) => sum + form * (i + 1), 0);
  return {
    count,
    key: (genome) => genome.join(""),
    random: (rng) => Array.from({ length }, () => rng.int(forms)),
    mutate: (parent, rate, rng) => parent.map((form) => (rng.uniform() < rate ? rng.int(forms) : form)),
    crossover: (a, b, rng) => a.map((form, i) => (rng.int(2) ? b[i]! : form)),
    repair(genome, rng) {
      const inside = [...genome];
      while (count(inside) > max) inside[pickWhere(inside, (form) => form > 0, rng)]! -= 1;
      while (count(inside) < min) inside[pickWhere(inside, (form) => form < forms - 1, rng)]! += 1;
      return inside;
    },
  };
}

const pickWhere = (genome: number[], test: (form: number) => boolean, rng: Rng): number =>
  rng.pick([...genome.keys()].filter((i) => test(genome[i]!)));

/** A smooth landscape: gene i is best at form (i·5 + 1) mod 4. */
const smooth = async (genome: number[]): Promise<Score> => {
  const error = genome.reduce((sum, form, i) => sum + (form - ((i * 5 + 1) % 4)) ** 2, 0);
  return { accuracy: 1 - error / (9 * genome.length), loss: error };
};

/** What files do to a history. */
const throughJson = (history: readonly Candidate<number[]>[]): Candidate<number[]>[] =>
  JSON.parse(JSON.stringify(history));

const small = { population: 6, generations: 3, parents: 2, mutants: 2, crossovers: 2, seed: 5 };

test("the published schedule: 50 random, then 20 generations of 25 mutants and 25 crossovers", async () => {
  const { history, note } = await evolve({ genes: toyGenes(240), score: smooth, seed: 1 });
  expect(note).toBeUndefined();
  expect(history).toHaveLength(1050);
  expect(history.map(({ index }) => index)).toEqual([...history.keys()]);
  for (let generation = 0; generation <= 20; generation++) {
    const origins = history.filter((c) => c.generation === generation).map((c) => c.origin);
    const first = new Array(50).fill("random");
    const later = [...new Array(25).fill("mutant"), ...new Array(25).fill("crossover")];
    expect(origins).toEqual(generation === 0 ? first : later);
  }
});

test("parents are among the best ten of the generations before", async () => {
  const { history } = await evolve({ genes: toyGenes(30), score: smooth, seed: 2 });
  const arity = { seed: 0, random: 0, mutant: 1, crossover: 2 };
  for (const { generation, origin, parents } of history) {
    const before = history.filter((c) => c.generation < generation);
    const tenth = before.map((c) => c.accuracy).sort((a, b) => b - a)[9];
    expect(parents).toHaveLength(arity[origin]);
    for (const parent of parents) {
      expect(history[parent]!.generation).toBeLessThan(generation);
      expect(history[parent]!.accuracy).toBeGreaterThanOrEqual(tenth!);
    }
  }
});

test("children have their parents' genes", async () => {
  const { history } = await evolve({ genes: toyGenes(30), score: smooth, seed: 2, generations: 4 });
  let inherited = 0;
  const mutants = history.filter(({ origin }) => origin === "mutant");
  for (const { genome, parents } of mutants) {
    inherited += genome.filter((form, i) => form === history[parents[0]!]!.genome[i]).length / 30;
  }
  // A gene is kept with probability 0.8 and redrawn as it was with 0.2 / 4; 3000 genes: 4 standard errors are 0.026.
  expect(Math.abs(inherited / mutants.length - 0.85)).toBeLessThan(0.026);
  for (const { genome, parents } of history.filter(({ origin }) => origin === "crossover")) {
    genome.forEach((form, i) => {
      expect(parents.map((parent) => history[parent]!.genome[i])).toContain(form);
    });
  }
});

test.each([1, 2, 3])("seed %i: every candidate is inside the budget and none is scored twice", async (seed) => {
  const genes = toyGenes(12, { min: 40, max: 60 });
  const scored: string[] = [];
  const score = (genome: number[]) => {
    scored.push(genes.key(genome));
    return smooth(genome);
  };
  const { history, best, front } = await evolve({ genes, score, seed });
  expect(new Set(scored).size).toBe(scored.length);
  expect(history.map(({ key }) => key)).toEqual(scored);
  for (const { genome, parameters } of history) {
    expect(genes.count(genome)).toBe(parameters);
    expect(parameters).toBeGreaterThanOrEqual(40);
    expect(parameters).toBeLessThanOrEqual(60);
  }
  expect(best).toEqual([...history].sort(ranking("accuracy"))[0]);
  expect(front.at(-1)!.accuracy).toBe(best.accuracy);
});

test.each([1, 2, 3, 4, 5])("seed %i: evolution beats random search at the same number of candidates", async (seed) => {
  const genes = toyGenes(40, { max: 900 });
  const evolved = await evolve({ genes, score: smooth, seed });
  const drawn = await evolve({ genes, score: smooth, seed, population: 1050, generations: 0 });
  expect(drawn.history).toHaveLength(evolved.history.length);
  // The optimum has loss 0, a random genome 85 on average with standard deviation 14; the best of 1,050 is near 45.
  expect(evolved.best.loss).toBeLessThan(drawn.best.loss / 2);
});

test("a seed repeats a search, another seed makes another", async () => {
  const search = (seed: number) => evolve({ genes: toyGenes(10), score: smooth, ...small, seed });
  expect(await search(7)).toEqual(await search(7));
  expect((await search(7)).history).not.toEqual((await search(8)).history);
});

test.each([
  [1, 1],
  [2, 2],
  [3, 9],
])("a space of %i forms a gene ends with its %i candidates and says so", async (forms, all) => {
  const genes = toyGenes(forms === 3 ? 2 : 1, { forms });
  const { history, note } = await evolve({ genes, score: smooth, seed: 1 });
  expect(new Set(history.map(({ key }) => key)).size).toBe(all);
  expect(history).toHaveLength(all);
  expect(note).toBe(
    "No new candidate turned up for generation 1 of 20: the space within the budget is exhausted, or nearly so. " +
      `The search ends with ${all} of 1050 candidates.`,
  );
});

test("a space of 64 candidates is searched to the end over several generations", async () => {
  const { history, note } = await evolve({
    genes: toyGenes(3),
    score: smooth,
    seed: 1,
    population: 20,
    generations: 9,
  });
  expect(history).toHaveLength(64);
  // Two alike parents have no new children: random candidates take their places.
  expect(history.some(({ generation, origin }) => generation > 0 && origin === "random")).toBe(true);
  expect(note).toContain("The search ends with 64 of 470 candidates.");
});

test("equal accuracy: the lower loss wins, then fewer parameters; a loss that is not finite comes last", async () => {
  const search = async (score: (genome: number[]) => Score) =>
    (
      await evolve({
        genes: toyGenes(3),
        score: async (genome) => score(genome),
        seed: 1,
        generations: 0,
        population: 64,
      })
    ).best;
  expect((await search(([a, b, c]) => ({ accuracy: 0.5, loss: 9 - a! - b! + c! }))).key).toBe("330");
  expect((await search(() => ({ accuracy: 0.5, loss: 1 }))).key).toBe("000");
  expect((await search(([a]) => ({ accuracy: 0.5, loss: a === 2 ? 5 : Number.NaN }))).key).toBe("200");
  expect((await search(() => ({ accuracy: 0.5, loss: Number.NEGATIVE_INFINITY }))).key).toBe("000");
  expect((await search(([a]) => ({ accuracy: a!, loss: a! }))).key).toBe("300");
});

test("fitness loss goes by the loss alone", async () => {
  const score = async ([a]: number[]) => ({ accuracy: a!, loss: a! });
  const search = { genes: toyGenes(3), score, seed: 1, population: 64, generations: 0 };
  expect((await evolve({ ...search, fitness: "loss" })).best.key).toBe("000");
});

test("seeds come first, in their order and inside the budget, each function once; random candidates fill the start", async () => {
  const genes = toyGenes(10, { max: 60 });
  const [a, b, dear] = [[1], [2, 1], new Array(10).fill(3)].map((some) =>
    [...some, ...new Array(10).fill(0)].slice(0, 10),
  );
  const { history } = await evolve({ genes, score: smooth, ...small, seeds: [a!, b!, a!, dear!] });
  const start = history.filter(({ generation }) => generation === 0);
  expect(start.map(({ origin }) => origin)).toEqual(["seed", "seed", "seed", "random", "random", "random"]);
  expect(start.slice(0, 2).map(({ genome }) => genome)).toEqual([a, b]);
  expect(start[2]!.parameters).toBeLessThanOrEqual(60);
  expect(history.filter(({ generation, origin }) => generation > 0 && origin === "seed")).toEqual([]);
  const many = await evolve({ genes, score: smooth, ...small, population: 1, seeds: [a!, b!] });
  expect(many.history.filter(({ origin }) => origin === "seed").map(({ genome }) => genome)).toEqual([a]);
});

/** A search that stops at the given score or save; what it had saved by then. */
async function interrupted(
  options: EvolutionOptions<number[]>,
  stopAt: "score" | "abort" | "save",
  place: number,
): Promise<Candidate<number[]>[]> {
  const saved = throughJson(options.history ?? []);
  const controller = new AbortController();
  let scores = 0;
  let saves = 0;
  const counted = (score: EvolutionOptions<number[]>["score"]) => (genome: number[], signal?: AbortSignal) => {
    if (stopAt === "score" && scores++ === place) throw new Error("stopped");
    return score(genome, signal);
  };
  const search = evolve({
    ...options,
    score: counted(options.score),
    onCandidate(candidate) {
      if (stopAt === "save" && saves === place) throw new Error("stopped");
      saved[candidate.index] = candidate;
      if (stopAt === "abort" && saves === place) controller.abort();
      saves++;
    },
    signal: controller.signal,
  });
  await expect(search).rejects.toThrow(/stopped|Interrupted/);
  return throughJson(saved);
}

test.each(["score", "abort", "save"] as const)(
  "interrupted by %s anywhere, a search ends with the same bits",
  async (stopAt) => {
    const options = {
      genes: toyGenes(8, { min: 20, max: 40 }),
      score: smooth,
      seeds: [[0, 0, 0, 1, 1, 1, 1, 1]],
      ...small,
    };
    const whole = await evolve(options);
    const scores = whole.history.length;
    expect(scores).toBe(24);
    // Aborting at the last save is too late to interrupt anything.
    for (let place = 0; place < scores - (stopAt === "abort" ? 1 : 0); place++) {
      let evaluated = 0;
      const history = await interrupted(options, stopAt, place);
      const score = (genome: number[]) => {
        evaluated++;
        return smooth(genome);
      };
      expect(await evolve({ ...options, score, history })).toEqual(whole);
      expect(evaluated).toBe(whole.history.length - history.length); // nothing is scored again
    }
  },
);

test("a search that is interrupted twice, and one that was complete, continue too", async () => {
  const options = { genes: toyGenes(8), score: smooth, ...small };
  const whole = await evolve(options);
  const once = await interrupted(options, "score", 7);
  const twice = await interrupted({ ...options, history: once }, "score", 6);
  expect(twice).toHaveLength(13);
  expect(await evolve({ ...options, history: twice })).toEqual(whole);
  const never = async () => expect.unreachable("everything has been scored");
  expect(await evolve({ ...options, score: never, history: whole.history })).toEqual(whole);
});

test("the history of another search is refused", async () => {
  const options = { genes: toyGenes(8), score: smooth, ...small };
  const { history } = await evolve(options);
  const text =
    "The history does not belong to this search: its candidate 0 is not the one that these settings lead to. " +
    "Continue with the seed, settings, space and budget that the history was made with, or start anew without it.";
  await expect(evolve({ ...options, seed: 6, history })).rejects.toThrow(text);
  await expect(evolve({ ...options, parents: 5, history })).rejects.toThrow("does not belong to this search");
  await expect(evolve({ ...options, generations: 2, history })).rejects.toThrow("its candidate 18 is not");
  const longer = await evolve({ ...options, generations: 5, history });
  expect(longer).toEqual(await evolve({ ...options, generations: 5 }));
});

test("an aborted search throws ABORTED before the next candidate", async () => {
  const controller = new AbortController();
  let scores = 0;
  const score = async (genome: number[], signal: AbortSignal | undefined) => {
    expect(signal).toBe(controller.signal);
    if (++scores === 4) controller.abort();
    return smooth(genome);
  };
  const saved: number[] = [];
  const onCandidate = async ({ index }: { index: number }) => void saved.push(index);
  const search = evolve({ genes: toyGenes(8), score, ...small, onCandidate, signal: controller.signal });
  await expect(search).rejects.toMatchObject({ code: "ABORTED" });
  expect(saved).toEqual([0, 1, 2, 3]);
});

test("progress counts new candidates", async () => {
  const seen: string[] = [];
  let best = Number.NEGATIVE_INFINITY;
  await evolve({
    genes: toyGenes(8),
    score: smooth,
    ...small,
    onProgress(progress) {
      seen.push(`${progress.done}/${progress.total}`);
      best = Math.max(best, progress.candidate.accuracy);
      expect(progress.best.accuracy).toBe(best);
    },
  });
  expect(seen).toHaveLength(24);
  expect([seen[0], seen[23]]).toEqual(["1/24", "24/24"]);
});

test("settings and scores that make no sense are refused", async () => {
  const search = (wrong: Partial<EvolutionOptions<number[]>>) =>
    evolve({ genes: toyGenes(3), score: smooth, seed: 1, ...wrong });
  await expect(search({ population: 0 })).rejects.toThrow(
    "The search needs a whole number of population, at least 1; got 0.",
  );
  await expect(search({ generations: 1.5 })).rejects.toThrow("a whole number of generations, at least 0; got 1.5.");
  await expect(search({ mutationRate: 2 })).rejects.toThrow("mutationRate is a probability: expected 0 to 1, got 2.");
  await expect(search({ score: async () => ({ accuracy: Number.NaN, loss: 0 }) })).rejects.toThrow(
    "The score of candidate 0 has accuracy NaN; a score must give a finite number, larger where better.",
  );
});
