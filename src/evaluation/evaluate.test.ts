import { expect, test } from "vitest";
import type { Tensor } from "../base/tensor.js";
import type { Split } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import type { Session } from "../runtime/runtime.js";
import { evaluate, outputsOf } from "./evaluate.js";

/** Seven examples whose inputs are [i, 1 − i, 0] and whose labels take turns. */
const split: Split = {
  size: 7,
  labels: Int32Array.of(0, 1, 2, 0, 1, 2, 0),
  names: ["a", "b", "c", "d", "e", "f", "g"],
  rows: () => 1,
  targets: (indices) => ({ kind: "labels", labels: Int32Array.from(indices, (i) => i % 3) }),
  inputs: async (indices) => ({
    x: { dtype: "float32", shape: [indices.length, 3], data: Float32Array.from(indices.flatMap((i) => [i, 1 - i, 0])) },
  }),
};

/** Multiplies by `scale`. */
const session = (output: "logits" | "features"): Session => ({
  device: "cpu",
  dispose: async () => {},
  run: async (feeds) => {
    const { data, shape } = feeds["x"]!;
    const scale = (feeds["scale"]?.data[0] as number | undefined) ?? 1;
    return { [output]: { dtype: "float32", shape, data: (data as Float32Array).map((x) => x * scale) } };
  },
});
/** What scores are taken by. */
const model = { rows: "examples", loss: "cross-entropy", head: { out: 3 } } as unknown as Model;
const scale: Tensor = { dtype: "float32", shape: [1], data: Float32Array.of(2) };

test("rows come in the order of the examples, whatever the batch, and progress counts them", async () => {
  for (const batchSize of [1, 3, 7, 100]) {
    const progress: [number, number][] = [];
    const rows = await outputsOf(session("features"), split, {
      feeds: { scale },
      batchSize,
      onProgress: (...done) => progress.push(done),
    });
    expect([...rows]).toEqual([0, 1, 2, 3, 4, 5, 6].flatMap((i) => [2 * i, 2 - 2 * i, 0]));
    expect(progress).toHaveLength(Math.ceil(7 / batchSize));
    expect(progress.at(-1)).toEqual([7, 7]);
  }
});

test("metrics of all examples, and of some", async () => {
  // Class 1 has the largest logit in example 0, class 0 in all others.
  const all = await evaluate(session("logits"), split, model);
  expect(all).toMatchObject({ examples: 7, accuracy: 2 / 7 });
  const some = await evaluate(session("logits"), split, model, { indices: [6, 1], batchSize: 1 });
  expect(some).toMatchObject({ examples: 2, accuracy: 1 / 2 });
  const crossEntropy = (logits: number[], label: number) =>
    Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[label]!;
  const hand = (crossEntropy([6, -5, 0], 0) + crossEntropy([1, 0, 0], 1)) / 2;
  expect(some.loss).toBeCloseTo(hand, 12);
});

test("an empty split has no rows", async () => {
  expect(await outputsOf(session("logits"), split, { indices: [] })).toHaveLength(0);
});

test("examples that cannot be read are an error of this call alone", async () => {
  const broken: Split = {
    ...split,
    inputs: (indices) => (indices.includes(5) ? Promise.reject(new Error("f.png is cut")) : split.inputs(indices)),
  };
  await expect(outputsOf(session("logits"), broken, { batchSize: 2 })).rejects.toThrow("f.png is cut");
  // The next batch is being read while this one fails: its own failure must not go unhandled.
  const failing: Session = { ...session("logits"), run: () => Promise.reject(new Error("no memory")) };
  await expect(outputsOf(failing, broken, { batchSize: 4 })).rejects.toThrow("no memory");
});
