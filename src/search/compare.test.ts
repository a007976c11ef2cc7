import { afterAll, beforeAll, expect, test } from "vitest";
import type { Dataset } from "../data/dataset.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { openTiny, tinyData } from "../training/tiny.fixtures.js";
import { compareMethods } from "./compare.js";

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createNodeRuntime();
});
afterAll(() => runtime.dispose());

/** Data that counts how often test examples are read. */
function counting(data: Dataset) {
  let reads = 0;
  const prepare: Dataset["prepare"] = async (...args) => {
    const splits = await data.prepare(...args);
    const inputs: typeof splits.test.inputs = (indices, o) => {
      reads += indices.length;
      return splits.test.inputs(indices, o);
    };
    const { size, labels, names } = splits.test;
    const targets: typeof splits.test.targets = (indices) => splits.test.targets(indices);
    return { ...splits, test: { size, labels, names, rows: () => 1, targets, inputs } };
  };
  return { data: { ...data, prepare }, reads: () => reads };
}

test("methods keep the budget and the number of trials; test examples are seen once a method", async () => {
  const { data, reads } = counting(tinyData());
  const seen: string[] = [];
  const results = await compareMethods(await openTiny(runtime), data, {
    methods: ["linear", "bitfit", "lora", "glora"],
    budget: 700,
    epochs: 2,
    furtherEpochs: 1,
    learningRates: [1e-3, 1e-2],
    rank: 2,
    search: { population: 4, generations: 1, parents: 2, mutants: 2, crossovers: 2 },
    train: { batchSize: 8 },
    onResult: ({ method }) => seen.push(method),
  });
  expect(seen).toEqual(["linear", "bitfit", "lora", "glora"]);
  for (const { parameters, learningRate } of results) {
    expect(parameters).toBeLessThanOrEqual(700);
    expect([1e-3, 1e-2]).toContain(learningRate);
  }
  expect(results.map(({ candidates }) => candidates)).toEqual([0, 0, 0, 16]);
  expect(reads()).toBe(4 * results[0]!.test.examples);
});
