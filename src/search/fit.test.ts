import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adaptedGraph } from "../adapters/adapted-graph.js";
import { type AdaptedModel, trainableFeeds } from "../adapters/adapted-model.js";
import { type AdapterFile, encodeAdapter, openAdapter } from "../adapters/adapter-file.js";
import { toAdapter } from "../adapters/attach.js";
import type { Genome } from "../adapters/structure.js";
import type { Dataset, Split, SplitName } from "../data/dataset.js";
import { evaluate } from "../evaluation/evaluate.js";
import { memorySource } from "../formats/source.js";
import type { Model } from "../models/model.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { memoryStore, type RunStore, readStored } from "../training/store.js";
import { openTiny, TINY_LABELS, tinyData } from "../training/tiny.fixtures.js";
import { type FitEvent, type FitOptions, type FitResult, fit, headFor } from "./fit.js";

let runtime: Runtime;
let model: Model;
beforeAll(async () => {
  runtime = await createNodeRuntime({ threads: 1 });
  model = await openTiny(runtime);
}, 60_000);
afterAll(() => runtime.dispose());

/** A whole fit in 6 + 9 steps and 12 candidates; nothing is planned from measured times. */
const small: FitOptions = {
  rank: 2,
  budget: 300,
  train: { epochs: 2, batchSize: 8, learningRate: 0.01, dropPath: 0.1, augment: { flip: 0.5 }, validateEvery: 1 },
  search: { population: 4, generations: 2, parents: 2, mutants: 2, crossovers: 1, seeded: true, finalists: 2 },
  further: { epochs: 2, validateEvery: 1 },
  seed: 3,
};
/** The finalists are the first seed and the best of the other candidates, here the third. */
const FILES = [
  "log.jsonl",
  "search.jsonl",
  "result.json",
  "train.safetensors",
  "further-0.safetensors",
  "further-2.safetensors",
  "finals.jsonl",
];

async function contents(store: RunStore): Promise<Record<string, string | undefined>> {
  const entries = FILES.map(async (file) => {
    const bytes = await store.read(file);
    return [file, bytes && Buffer.from(bytes).toString("latin1")] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** A store whose process is killed at the `last`-th change: a text is then half written, a replaced file is the old one. */
function mortal(store: RunStore, last: number): RunStore & { changes: number } {
  const own = {
    changes: 0,
    read: store.read,
    async write(name: string, data: Uint8Array | string) {
      if (own.changes++ >= last) throw new Error("killed");
      await store.write(name, data);
    },
    async append(name: string, text: string) {
      if (own.changes++ >= last) {
        await store.append(name, text.slice(0, text.length / 2));
        throw new Error("killed");
      }
      await store.append(name, text);
    },
  };
  return own;
}

describe("an interrupted fit", () => {
  /** With a plan, so that nothing is measured. */
  let planned: FitOptions;
  let expected: Record<string, string | undefined>;
  let parameters: Float32Array;
  let changes: number;
  beforeAll(async () => {
    const { plan } = await fit(model, tinyData(), { ...small, stopAfter: "train" });
    const search = { ...plan.search!, population: 3, generations: 1 };
    planned = { rank: 2, budget: 300, seed: 3, plan: { ...plan, search } };
    const store = mortal(memoryStore(), Number.POSITIVE_INFINITY);
    const result = await fit(model, tinyData(), { ...planned, store, checkpointSeconds: 0 });
    parameters = result.adapted.parameters;
    expected = await contents(store);
    changes = store.changes;
  }, 60_000);

  test("leaves every file, and something was trained, searched and trained further", () => {
    expect(Object.values(expected).every((text) => text !== undefined)).toBe(true);
    const steps = (expected["log.jsonl"] ?? "")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(steps.map(({ phase, step }) => [phase, step])).toEqual([
      ["train", 3],
      ["train", 6],
      ["further-0", 3],
      ["further-2", 3],
      ["further-0", 6],
    ]);
    expect((expected["search.jsonl"] ?? "").split("\n").length - 1).toBe(6);
  });

  test("repeats to the bit, however often it is saved", async () => {
    const store = memoryStore();
    await fit(model, tinyData(), { ...planned, store });
    expect(await contents(store)).toEqual(expected);
  });

  test("killed at any of its writes, it goes on and ends with the same bits", async () => {
    for (let last = 0; last < changes; last++) {
      const store = memoryStore();
      const killed = fit(model, tinyData(), { ...planned, store: mortal(store, last), checkpointSeconds: 0 });
      await expect(killed, `killed at write ${last}`).rejects.toThrow("killed");
      const result = await fit(model, tinyData(), { ...planned, store });
      expect(result.adapted.parameters, `killed at write ${last}`).toEqual(parameters);
      expect(await contents(store), `killed at write ${last}`).toEqual(expected);
    }
  }, 300_000);

  test("stopped by its signal in any phase, it saves, and goes on with the same bits", async () => {
    const moments: [string, (event: FitEvent) => boolean][] = [
      ["before anything", () => false],
      ["reading the data", (e) => e.type === "progress" && e.phase === "data"],
      ["the plan", (e) => e.type === "plan"],
      ["the first step", (e) => e.type === "progress" && e.phase === "train" && e.progress.done === 1],
      ["a validation", (e) => e.type === "validation"],
      ["the last step of training", (e) => e.type === "progress" && e.phase === "train" && e.progress.done === 6],
      ["the search", (e) => e.type === "progress" && e.phase === "search" && e.progress.done === 5],
      ["the test", (e) => e.type === "progress" && e.phase === "scores"],
      ["a finalist", (e) => e.type === "progress" && e.phase === "finals" && e.progress.done === 2],
      ["its last step", (e) => e.type === "progress" && e.phase === "finals" && e.progress.done === 3],
      ["its validation", (e) => e.type === "validation" && e.phase === "finals"],
      ["further training", (e) => e.type === "progress" && e.phase === "further" && e.progress.done === 5],
    ];
    for (const [moment, isNow] of moments) {
      const store = memoryStore();
      const controller = new AbortController();
      if (moment === "before anything") controller.abort();
      const onProgress = (event: FitEvent) => {
        if (isNow(event)) controller.abort();
      };
      const stopped = fit(model, tinyData(), { ...planned, store, signal: controller.signal, onProgress });
      await expect(stopped, moment).rejects.toMatchObject({ code: "ABORTED" });
      await fit(model, tinyData(), { ...planned, store });
      expect(await contents(store), moment).toEqual(expected);
    }
  });

  test("says which of the finalists is trained", async () => {
    const parts = new Set<string>();
    await fit(model, tinyData(), {
      ...planned,
      onProgress: (event) => {
        if (event.type === "validation" && event.phase === "finals") parts.add(`${event.part}`);
        if (event.type === "progress" && event.phase === "finals")
          expect(event.detail).toMatch(/^finalist \d of \d, loss/);
      },
    });
    const count = parts.size;
    expect(count).toBeGreaterThan(1);
    expect([...parts]).toEqual(Array.from({ length: count }, (_, i) => `finalist ${i + 1} of ${count}`));
  });

  test("stopped after a phase, it says what there is, and goes on with the same bits", async () => {
    const store = memoryStore();
    const net = await fit(model, tinyData(), { ...planned, store, stopAfter: "train" });
    expect([net.genome, net.parameters, net.test, net.search]).toEqual([undefined, undefined, undefined, undefined]);
    expect(net.adapted.genome).toBeUndefined();
    const winner = await fit(model, tinyData(), { ...planned, store, stopAfter: "search" });
    expect(winner.genome).toBe(winner.search?.best.genome);
    expect([winner.test, await store.read("result.json")]).toEqual([undefined, undefined]);
    const whole = await fit(model, tinyData(), { ...planned, store });
    expect(whole.adapted.parameters).toEqual(parameters);
    expect(whole.adapted.parameters).not.toEqual(winner.adapted.parameters);
    expect(await contents(store)).toEqual(expected);
  });

  test("a finished one says its result again, and other settings are refused", async () => {
    const store = memoryStore();
    await fit(model, tinyData(), { ...planned, store });
    const data = watched(tinyData());
    const notes: FitEvent[] = [];
    const onProgress = (event: FitEvent) => event.type === "note" && notes.push(event);
    const again = await fit(model, data, { ...planned, store, onProgress });
    expect(data.uses).toEqual([]);
    expect(notes).toEqual([{ type: "note", text: "This run is finished: its result is the stored one." }]);
    const { validation, test: score } = JSON.parse(expected["result.json"]!);
    expect([again.validation, again.test]).toEqual([validation, score]);
    expect(again.adapted.parameters).toEqual(parameters);
    expect(await contents(store)).toEqual(expected);
    await expect(fit(model, tinyData(), { ...planned, store, budget: 200 })).rejects.toThrow(
      "options.budget: 300 in the run, 200 now",
    );
    await expect(fit(model, tinyData({ counts: { test: 8 } }), { ...planned, store })).rejects.toThrow(
      "data.counts.test: 9 in the run, 8 now",
    );
  });
});

test("a run's stored plan repeats it", async () => {
  const first = await fit(model, tinyData(), { ...small, maxSeconds: 20 });
  const again = await fit(model, tinyData(), { rank: 2, budget: 300, seed: 3, plan: first.plan });
  expect(again.plan).toEqual(first.plan);
  expect(again.adapted.parameters).toEqual(first.adapted.parameters);
});

test("the plan comes with what the whole will take; where that is too long, a note says so", async () => {
  const events: FitEvent[] = [];
  await fit(model, tinyData(), { ...small, stopAfter: "train", onProgress: (event) => events.push(event) });
  const plan = events.find((event) => event.type === "plan")!;
  expect(plan.plan.seconds).toBeGreaterThan(5);
  expect(plan.budget).toEqual({ min: 0, max: 300 });
  expect(events.filter((event) => event.type === "note")).toEqual([]);
  const order = events.map((event) => (event.type === "progress" ? event.phase : event.type));
  expect(order.filter((name, i) => name !== order[i - 1])).toEqual([
    "data",
    "plan",
    "train",
    "validation",
    "train",
    "validation",
  ]);

  const notes: string[] = [];
  const onProgress = (event: FitEvent) => {
    if (event.type === "note") notes.push(event.text);
  };
  const o = { ...small, train: {}, search: {}, stopAfter: "train", maxSeconds: 1, onProgress } as const;
  const { plan: least } = await fit(model, tinyData(), o);
  expect([least.train.epochs, least.search?.population]).toEqual([2, 8]);
  expect(notes).toEqual([expect.stringMatching(/^This is expected to take .+, more than the 1\.0 s asked for/)]);
});

/** The data, with a note of every use of a split. */
function watched(data: Dataset): Dataset & { readonly uses: SplitName[] } {
  const uses: SplitName[] = [];
  const watch = (split: Split, name: SplitName): Split => ({
    size: split.size,
    labels: split.labels,
    names: split.names,
    rows: (i) => split.rows(i),
    targets: (indices) => split.targets(indices),
    inputs: (...args) => {
      uses.push(name);
      return split.inputs(...args);
    },
  });
  return {
    ...data,
    uses,
    prepare: async (...args) => {
      const { train, validation, test } = await data.prepare(...args);
      return { train: watch(train, "train"), validation: watch(validation, "validation"), test: watch(test, "test") };
    },
  };
}

async function scoreOf(adapted: AdaptedModel, name: SplitName, genome?: Genome) {
  const split = (await tinyData().prepare(adapted.model.input))[name];
  const session = await runtime.open(adaptedGraph(adapted.model, { layout: adapted.layout, head: "trainable" }));
  const score = await evaluate(session, split, adapted.model, { feeds: trainableFeeds(adapted, genome) });
  await session.dispose();
  return score;
}

test("the test split is used once, at the very end; results are those of the model that is given back", async () => {
  const data = watched(tinyData());
  const store = memoryStore();
  const { adapted, genome, parameters, test: score, validation, search } = await fit(model, data, { ...small, store });
  expect(data.uses.filter((name) => name === "test")).toHaveLength(1);
  expect(data.uses.at(-1)).toBe("test");
  expect(score).toEqual(await scoreOf(adapted, "test"));
  expect(validation).toEqual(await scoreOf(adapted, "validation"));
  const result = JSON.parse((await readStored(store, "result.json"))!);
  expect(Object.keys(result.test)).toEqual([
    "examples",
    "loss",
    "accuracy",
    "balancedAccuracy",
    "macroF1",
    "top5",
    "confusion",
  ]);
  expect(result).toMatchObject({
    parameters,
    headParameters: 3 * 17,
    test: score,
    validation,
    search: { candidates: 12 },
  });
  expect(parameters).toBeLessThanOrEqual(300);
  const finalists = search!.finalists!.map(({ candidate }) => candidate);
  expect(finalists.map(({ origin }) => origin === "seed")).toEqual([true, false]);
  expect(finalists).toContain(search!.chosen);
  expect(search!.chosen.genome).toEqual(genome);
  expect(search!.front.length).toBeGreaterThan(0);
});

describe("linear", () => {
  test("runs the trunk once, and gives back the real model", async () => {
    const data = watched(tinyData());
    const {
      adapted,
      test: score,
      parameters,
    } = await fit(model, data, { preset: "linear", train: { epochs: 9, learningRate: 0.01 } });
    expect(data.uses).toEqual(["train", "validation", "test"]); // a batch each
    expect(parameters).toBe(0);
    expect(adapted.model.layers).toHaveLength(8);
    const real = await scoreOf(adapted, "test");
    expect(real.accuracy).toBe(score!.accuracy);
    expect(real.loss).toBeCloseTo(score!.loss, 5); // batches of another size
  });

  test("reads its inputs anew where they change at every step", async () => {
    const data = watched(tinyData());
    await fit(model, data, { preset: "linear", train: { epochs: 2, augment: { flip: 0.5 } } });
    expect(data.uses.filter((name) => name === "train").length).toBeGreaterThan(1);
  });
});

describe("the head", () => {
  test("is kept where the labels are the model's own, in its order", () => {
    expect(headFor(model, { kind: "classes", labels: TINY_LABELS })).toBe(model);
    for (const labels of [
      ["north", "south", "east"],
      ["a", "b", "c"],
      ["north", "east"],
    ])
      expect(headFor(model, { kind: "classes", labels }).head).toMatchObject({ out: labels.length, pretrained: false });
  });

  test("starts from the pretrained numbers where it is kept", async () => {
    const start = { preset: "bitfit", train: { epochs: 1, learningRate: 0 } } as const;
    const kept = await fit(model, tinyData(), start);
    const stored = model.checkpoint.tensors.get("head.weight")!;
    const bytes = await stored.source.read(stored.offset, stored.length);
    const { headOffset } = kept.adapted;
    const weight = kept.adapted.parameters.slice(headOffset, headOffset + 48);
    expect(weight).toEqual(new Float32Array(bytes.slice().buffer));
    const fresh = await fit(model, tinyData({ labels: ["a", "b", "c"] }), start);
    expect(fresh.adapted.parameters.slice(headOffset, headOffset + 48)).not.toEqual(weight);
    expect(fresh.adapted.model.labels).toEqual(["a", "b", "c"]);
  });
});

describe("a warm start", () => {
  const frozen = { epochs: 1, learningRate: 0, weightDecay: 0 };
  let first: FitResult;
  let adapter: AdapterFile;
  beforeAll(async () => {
    first = await fit(model, tinyData(), { preset: "lora", rank: 2, train: { epochs: 6, learningRate: 0.02 } });
    const files = encodeAdapter(toAdapter(first.adapted, {}));
    adapter = await openAdapter({
      name: "adapter",
      list: async () => [...files.keys()],
      open: async (file) => memorySource(file, files.get(file)!),
    });
  }, 60_000);

  test("of the same structure: the adapted model as it was, head and all", async () => {
    const { adapted, test: score } = await fit(model, tinyData(), { preset: "lora", rank: 2, adapter, train: frozen });
    expect(adapted.parameters).toEqual(first.adapted.parameters);
    expect(score).toEqual(first.test);
  });

  test("of a larger structure, or a supernet that holds it: the same function", async () => {
    const larger = await fit(model, tinyData(), { preset: "lora", rank: 4, adapter, train: frozen });
    expect(larger.test!.loss).toBeCloseTo(first.test!.loss, 5);
    const net = await fit(model, tinyData(), { rank: 4, adapter, train: frozen, stopAfter: "train" });
    expect((await scoreOf(net.adapted, "test", first.genome!)).loss).toBeCloseTo(first.test!.loss, 5);
  });

  test("of other labels: the supports, and a new head", async () => {
    const { adapted } = await fit(model, tinyData({ labels: ["a", "b", "c"] }), {
      preset: "lora",
      rank: 2,
      adapter,
      train: frozen,
    });
    const { headOffset } = adapted;
    expect(adapted.parameters.slice(0, headOffset)).toEqual(first.adapted.parameters.slice(0, headOffset));
    expect(adapted.parameters.slice(headOffset)).not.toEqual(first.adapted.parameters.slice(headOffset));
  });

  test("that does not fit is refused, and no run is begun", async () => {
    const store = memoryStore();
    await expect(fit(model, tinyData(), { preset: "lora", rank: 1, adapter, store })).rejects.toThrow(
      /Support B of "blocks.0.attn.qkv" does not fit the space: expected at most \[48, 1\] for Xd, found \[48, 2\]/,
    );
    await expect(fit(model, tinyData(), { a: "product", adapter, store })).rejects.toThrow(
      "The adapter adapter has A in elementwise form, the space in product form: choose the same.",
    );
    expect(await store.read("config.json")).toBeUndefined();
  });
});

describe("what cannot work is said before anything runs", () => {
  const cases: [string, Dataset, FitOptions, string][] = [
    ["no epochs", tinyData(), { train: { epochs: 0 } }, "epochs: expected a whole number of 1 or more, got 0."],
    [
      "a rate below 0",
      tinyData(),
      { further: { learningRate: -1 } },
      "learningRate: expected a finite number of 0 or more, got -1.",
    ],
    [
      "a search without validation examples",
      tinyData({ counts: { validation: 0 } }),
      small,
      "corners has no validation examples, by which a search could choose: split some off.",
    ],
    [
      "a warm-up longer than the training",
      tinyData(),
      { recipe: "paper", train: { epochs: 5, warmupEpochs: 10 } },
      "a warm-up of 10 epochs is longer than the training of 5 epochs.",
    ],
    [
      "a warm-up longer than the training that there is time for",
      tinyData(),
      { ...small, maxSeconds: 1, train: { warmupEpochs: 3 } },
      "a warm-up of 3 epochs is longer than the training of 2 epochs.",
    ],
    ["weights of other classes", tinyData(), { train: { classWeights: [1, 2] } }, "classWeights: expected 3 finite"],
    ["one class", tinyData({ labels: ["north"] }), small, "corners has one class; at least two are needed."],
    [
      "nothing to train on",
      tinyData({ counts: { train: 0 } }),
      small,
      "The training split is empty: nothing to train on.",
    ],
    [
      "an impossible budget",
      tinyData(),
      { ...small, budget: { min: 1e6, max: 2e6 } },
      "No structure has between 1,000,000 and 2,000,000 adapter parameters.",
    ],
  ];
  test.each(cases)("%s", async (_name, data, o, message) => {
    const store = memoryStore();
    await expect(fit(model, data, { ...o, store })).rejects.toThrow(message);
    expect(await store.read("config.json")).toBeUndefined();
  });

  test("a preset needs no validation split, nor a test split", async () => {
    const data = tinyData({ counts: { validation: 0, test: 0 } });
    const {
      validation,
      test: score,
      adapted,
    } = await fit(model, data, { preset: "ssf", train: { epochs: 2, batchSize: 100 } });
    expect([validation, score]).toEqual([undefined, undefined]);
    expect(adapted.parameters.every(Number.isFinite)).toBe(true);
  });
});
