import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Dataset } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { memoryStore, readStored } from "../training/store.js";
import { openTiny, tinyData } from "../training/tiny.fixtures.js";
import { type CompareOptions, type Comparison, compareMethods, type Outcome } from "./compare.js";
import { compareInFolder } from "./compare.node.js";
import type { FitEvent } from "./fit.js";

let runtime: Runtime;
let model: Model;
let folder: string;
beforeAll(async () => {
  runtime = await createNodeRuntime();
  model = await openTiny(runtime);
  folder = await mkdtemp(join(tmpdir(), "glora-compare-"));
});
afterAll(async () => {
  await runtime.dispose();
  await rm(folder, { recursive: true });
});

/** Data that counts how often test examples are read. */
function counting(data: Dataset) {
  let reads = 0;
  const prepare: Dataset["prepare"] = async (...args) => {
    const splits = await data.prepare(...args);
    const { size, labels, names } = splits.test;
    const inputs: typeof splits.test.inputs = (indices, o) => {
      reads += indices.length;
      return splits.test.inputs(indices, o);
    };
    const targets: typeof splits.test.targets = (indices) => splits.test.targets(indices);
    return { ...splits, test: { size, labels, names, rows: () => 1, targets, inputs } };
  };
  return { data: { ...data, prepare }, reads: () => reads };
}

const settings = {
  methods: ["linear", "bitfit", "lora", "glora"],
  budget: 700,
  epochs: 2,
  furtherEpochs: 1,
  learningRates: [1e-3, 1e-2],
  rank: 2,
  search: { population: 4, generations: 1, parents: 2, mutants: 2, crossovers: 2 },
  train: { batchSize: 8 },
} as const satisfies CompareOptions;

/** What an outcome says, without what a clock says. */
const scores = ({ outcomes }: Comparison) =>
  JSON.stringify(outcomes, (key, value: unknown) => (key === "seconds" || key === "searchSeconds" ? undefined : value));

test("methods keep the budget and the number of trials; test examples are seen once a method and seed", async () => {
  const { data, reads } = counting(tinyData());
  const seen: string[] = [];
  const fitted: string[] = [];
  const { outcomes } = await compareMethods(model, [data], {
    ...settings,
    seeds: 2,
    onResult: ({ method, seed }, result) => {
      seen.push(`${method} ${seed}`);
      if (result) fitted.push(method);
    },
  });
  expect(seen).toEqual(
    [0, 1].flatMap((seed) => ["linear", "bitfit", "lora", "glora"].map((name) => `${name} ${seed}`)),
  );
  expect(fitted).toHaveLength(8);
  for (const { trials, chosen } of outcomes) {
    expect(trials.map(({ learningRate }) => learningRate)).toEqual([1e-3, 1e-2]);
    expect(chosen!.parameters).toBeLessThanOrEqual(700);
    // The choice is by validation accuracy, then by the lower loss.
    const best = [...trials].sort(
      (a, b) => b.validation!.accuracy - a.validation!.accuracy || a.validation!.loss - b.validation!.loss,
    )[0]!;
    expect(chosen!.learningRate).toBe(best.learningRate);
  }
  expect(outcomes.flatMap(({ trials }) => trials.map(({ candidates }) => candidates))).toEqual([
    ...[0, 0, 0, 0, 0, 0, 8, 8],
    ...[0, 0, 0, 0, 0, 0, 8, 8],
  ]);
  expect(reads()).toBe(8 * 9);
});

test("with rates chosen on the first seed, every other seed costs one trial", async () => {
  const { outcomes } = await compareMethods(model, [tinyData()], {
    ...settings,
    methods: ["bitfit", "lora"],
    seeds: 3,
    selectOnFirstSeed: true,
  });
  expect(outcomes.map(({ trials }) => trials.length)).toEqual([2, 2, 1, 1, 1, 1]);
  const rates = (name: string) =>
    outcomes.filter(({ method }) => method === name).map(({ chosen }) => chosen!.learningRate);
  for (const method of ["bitfit", "lora"]) expect(new Set(rates(method)).size).toBe(1);
});

test("low-rank methods take the largest rank of the budget; what is over it is told and not run", async () => {
  // Rank 1 of the two blocks: 2 · ((16 + 48) + (16 + 16) + (16 + 64) + (64 + 16)) = 512; SSF: 2 · 3 · (48 + 16 + 64 + 16) = 864.
  const plan = async (budget?: number) => {
    const { plan: found } = await compareMethods(model, [tinyData()], {
      ...settings,
      epochs: 1,
      learningRates: [1e-3],
      ...(budget === undefined ? { budget: undefined as never } : { budget }),
      methods: ["ssf", "lora", "hira"],
    });
    return { budget: found.budget, methods: found.methods.map(({ rank, overBudget }) => [rank, overBudget]) };
  };
  expect(await plan(863)).toEqual({
    budget: 863,
    methods: [
      [undefined, true],
      [1, false],
      [1, false],
    ],
  });
  expect((await plan(512 * 3)).methods).toEqual([
    [undefined, false],
    [3, false],
    [3, false],
  ]);
  expect((await plan()).budget).toBe(864);
  await expect(plan(100)).rejects.toThrow(
    "No method keeps the budget of 100 adapter parameters: ssf needs 864, lora needs 512, hira needs 512.",
  );
});

test("training examples are drawn anew by each seed, in equal shares, and counted", async () => {
  const drawn: string[][] = [];
  const { outcomes } = await compareMethods(model, [tinyData()], {
    ...settings,
    methods: ["linear"],
    learningRates: [1e-3],
    seeds: 2,
    trainExamples: 7,
    fit: async (base, data, o) => {
      const { train } = await data.prepare(base.input);
      drawn.push([...train.names]);
      expect([0, 1, 2].map((label) => train.labels.filter((l) => l === label).length)).toEqual([3, 2, 2]);
      const { fit } = await import("./fit.js");
      return fit(base, data, o);
    },
  });
  expect(outcomes.map(({ chosen }) => chosen!.trainExamples)).toEqual([7, 7]);
  expect(drawn[0]).not.toEqual(drawn[1]);
});

test("a rate at which training diverges loses; a method that always does has no result", async () => {
  const notes: string[] = [];
  const run = (learningRates: readonly number[]) =>
    compareMethods(model, [tinyData()], {
      ...settings,
      methods: ["lora"],
      train: { batchSize: 8, warmupEpochs: 0, schedule: "constant" },
      learningRates,
      onProgress: (event) => {
        if (event.type === "note") notes.push(event.text);
      },
    });
  const { outcomes } = await run([1e30, 1e-3]);
  expect(outcomes[0]!.chosen!.learningRate).toBe(1e-3);
  expect(notes.join()).toMatch(/corners-lora-seed0-rate1e\+30: The \w+ loss after .* is not finite/);
  expect((await run([1e30])).outcomes[0]).toMatchObject({ chosen: undefined, trials: [{ learningRate: 1e30 }] });
});

test.each<[string, Partial<CompareOptions>, string]>([
  ["no methods", { methods: [] }, "methods: at least one is expected."],
  ["a rate twice", { learningRates: [0.1, 0.1] }, 'learningRates: "0.1" is there twice.'],
  ["no epoch for the supernet", { furtherEpochs: 2 }, "of 2 epochs the supernet and its winner need one each at least"],
])("%s is refused", async (_, wrong, message) => {
  await expect(compareMethods(model, [tinyData()], { ...settings, ...wrong })).rejects.toThrow(message);
});

test("data sets of one name, and without a test, are refused", async () => {
  await expect(compareMethods(model, [tinyData(), tinyData()], settings)).rejects.toThrow(
    'data: "corners" is there twice.',
  );
  const untested = tinyData({ counts: { test: 0 } });
  await expect(compareMethods(model, [untested], settings)).rejects.toThrow(
    "corners has no test examples: methods cannot be compared on it.",
  );
});

describe("in a folder", () => {
  const sets = () => [tinyData(), { ...tinyData({ labels: ["north", "east"] }), name: "two" }];
  const small = { ...settings, methods: ["bitfit", "glora"], seeds: 2, selectOnFirstSeed: true } as const;
  let whole: Comparison;
  beforeAll(async () => {
    whole = await compareInFolder(model, sets(), { ...small, out: join(folder, "whole") });
  });

  test("an interrupted comparison ends with the same bits, wherever it stopped", async () => {
    const rng = rngStream(3, "interruptions");
    const out = join(folder, "interrupted");
    let stops = 0;
    for (;;) {
      const abort = new AbortController();
      let events = rng.int(60);
      const stopping = (event: FitEvent): void => {
        if (event.type === "progress" && events-- === 0) abort.abort();
      };
      const found = await compareInFolder(model, sets(), {
        ...small,
        out,
        signal: abort.signal,
        onProgress: stopping,
      }).catch((thrown: unknown) => thrown);
      if (!(found instanceof GloraError)) {
        expect(scores(found as Comparison)).toBe(scores(whole));
        break;
      }
      expect(found.code).toBe("ABORTED");
      stops++;
    }
    expect(stops).toBeGreaterThan(3);
  });

  test("a copy of the folder at any moment, as a killed process leaves it, goes on to the same", async () => {
    const rng = rngStream(4, "copies");
    const out = join(folder, "copied");
    const copies: Promise<void>[] = [];
    let events = rng.int(40);
    await compareInFolder(model, sets(), {
      ...small,
      out,
      onProgress: () => {
        if (events-- !== 0 || copies.length === 2) return;
        copies.push(cp(out, `${out}-${copies.length}`, { recursive: true }));
        events = rng.int(120);
      },
    });
    await Promise.all(copies);
    expect(copies.length).toBeGreaterThan(1);
    for (const i of copies.keys()) {
      const found = await compareInFolder(model, sets(), { ...small, out: `${out}-${i}` });
      expect(scores(found)).toBe(scores(whole));
    }
  });

  test("a finished one runs nothing again; methods, seeds and data sets may be added", async () => {
    const out = join(folder, "whole");
    const results: (Outcome["chosen"] | "made")[] = [];
    const watch = {
      onResult: (outcome: Outcome, result: unknown) => void results.push(result ? "made" : outcome.chosen),
    };
    const again = await compareInFolder(model, sets(), { ...small, out, ...watch });
    expect(again.outcomes).toEqual(whole.outcomes);
    expect(results).not.toContain("made");
    const more = await compareInFolder(model, sets(), { ...small, out, methods: ["bitfit", "linear"], ...watch });
    expect(results.slice(whole.outcomes.length).filter((result) => result === "made")).toHaveLength(4);
    expect(more.outcomes.filter(({ method }) => method === "bitfit")).toEqual(
      whole.outcomes.filter(({ method }) => method === "bitfit"),
    );
    // Every trial is a run with its adapter.
    const files = await readdir(join(out, "trials", "two-glora-seed0-rate0.01"));
    expect(files).toEqual(expect.arrayContaining(["adapter", "result.json"]));
  });

  test("other settings and other data are refused by name, and another folder is left alone", async () => {
    const out = join(folder, "whole");
    await expect(
      compareInFolder(model, sets(), { ...small, out, budget: 800, train: { batchSize: 4 } }),
    ).rejects.toThrow(
      /This comparison was begun with other settings; .*\n {2}options\.budget: 700 in the run, 800 now\n {2}options\.train\.batchSize: 8 in the run, 4 now\n/,
    );
    const other = [tinyData({ counts: { train: 21 } })];
    await expect(compareInFolder(model, other, { ...small, out })).rejects.toThrow(
      "data corners.counts.train: 22 in the run, 21 now",
    );
    await expect(compareInFolder(model, sets(), { ...small, out: join(out, "trials") })).rejects.toThrow(
      "is not empty and holds no comparison",
    );
  });
});

test("a damaged line of finished trials is named; a line that was cut is run again", async () => {
  const store = memoryStore();
  const options = { ...settings, methods: ["linear"], store } as const;
  const whole = await compareMethods(model, [tinyData()], options);
  const text = (await readStored(store, "trials.jsonl"))!;
  await store.write("trials.jsonl", text.slice(0, -20));
  expect(scores(await compareMethods(model, [tinyData()], options))).toBe(scores(whole));
  await store.write("trials.jsonl", `{"data":"corners","method":"lorra"}\n${text}`);
  await expect(compareMethods(model, [tinyData()], options)).rejects.toThrow(
    /trials\.jsonl, line 1: not a trial \(method: one of lora, .* is expected, not "lorra"\)/,
  );
});
