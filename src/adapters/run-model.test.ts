import { afterAll, expect, test } from "vitest";
import type { Tensor } from "../base/tensor.js";
import { openModel } from "../models/open.node.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import { openTiny } from "../training/tiny.fixtures.js";
import { runModel } from "./run-model.js";

// Against PyTorch glora run is tested, which is this function: src/cli/commands/run.test.ts.
const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const pixels = (images: number): Tensor => ({
  dtype: "float32",
  shape: [images, 3, 8, 8],
  data: new Float32Array(images * 192).fill(0.5),
});
const labels = (...shape: number[]): Tensor => ({
  dtype: "int32",
  shape,
  data: new Int32Array(shape.reduce((a, n) => a * n, 1)),
});

test("labels of classes are a list: one more axis is refused", async () => {
  const model = await openTiny(runtime);
  const run = (images: number, given: Tensor) => runModel(model, { pixel_values: pixels(images), labels: given });
  await expect(run(2, labels(2, 1))).rejects.toThrow(
    "labels: one for each of the 2 images is expected, [2]; found [2, 1].",
  );
  await expect(run(1, labels())).rejects.toThrow("labels: one for the image is expected, [1]; found [].");
  expect((await run(2, labels(2)))["loss"]!.shape).toEqual([]);
});

test("those of a regression are as many as images, or as outputs", async () => {
  const model = { ...(await openTiny(runtime)), loss: "mse" as const };
  const run = (given: Tensor) => runModel(model, { pixel_values: pixels(2), labels: given });
  for (const shape of [[2], [2, 3]]) expect((await run(labels(...shape)))["loss"]!.data[0]).toBeGreaterThan(0);
  for (const shape of [[2, 1], [2, 3, 1], [6]])
    await expect(run(labels(...shape))).rejects.toThrow(`[2] or [2, 3]; found [${shape.join(", ")}].`);
});

test("a language model gives the logits of every token; which are scored is no input", async () => {
  const model = await openModel("test/fixtures/llama/llama-biases");
  try {
    const input_ids: Tensor = { dtype: "int64", shape: [1, 3], data: BigInt64Array.of(3n, 4n, 5n) };
    expect((await runModel(model, { input_ids }))["logits"]!.shape).toEqual([1, 3, 40]);
    const scored: Tensor = { dtype: "int32", shape: [1], data: Int32Array.of(2) };
    await expect(runModel(model, { input_ids, scored })).rejects.toThrow(
      'The model has no input "scored"; it takes "input_ids", "attention_mask", "position_ids", "labels".',
    );
  } finally {
    await model.runtime.dispose();
  }
});
