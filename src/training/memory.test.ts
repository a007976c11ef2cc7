import { afterAll, expect, test } from "vitest";
import { fixedModel } from "../adapters/adapted-model.js";
import { presetSpace } from "../adapters/presets.js";
import { onlyGenome } from "../adapters/space.js";
import { rngStream } from "../base/rng.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import { estimateMemory } from "./memory.js";
import { openTiny, TINY_LABELS } from "./tiny.fixtures.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const model = (await openTiny(runtime)).withTask({ kind: "classes", labels: TINY_LABELS });
const space = presetSpace("lora", model.layers, { rank: 2 });
const { layout } = fixedModel(model, space, onlyGenome(space)!, rngStream(0, "values"));
const loss = { kind: "cross-entropy" } as const;
const options = { layout, head: "trainable", loss, logits: false, gradients: true } as const;
const images = (n: number) =>
  ({
    pixel_values: { dtype: "float32", shape: [n, 3, 8, 8], data: new Float32Array(n * 192) },
    labels: { dtype: "int32", shape: [n], data: new Int32Array(n) },
    row_weights: { dtype: "float32", shape: [n], data: new Float32Array(n) },
  }) as const;

test("weights are those of the file; activations grow with the examples, and shrink where they are computed again", () => {
  const [one, four, eight] = ([1, 4, 8] as const).map((n) => estimateMemory(model, options, images(n)));
  const trunk = [...model.weights].filter(([name]) => !name.startsWith("head."));
  expect(one!.weights).toBe(trunk.reduce((sum, [, { shape }]) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0));
  // An example's share, beside what has no batch (1 + A and the like).
  const example = (eight!.activations - one!.activations) / 7;
  expect(four!.activations).toBe(one!.activations + 3 * example);
  // At the least, each of the eight linear layers keeps its input: five tokens of width 16, four times as wide for fc2.
  expect(example).toBeGreaterThan(2 * 4 * 5 * (3 * 16 + 64));
  const again = estimateMemory(model, { ...options, recompute: true }, images(8));
  expect(again.weights).toBe(one!.weights);
  expect(again.activations).toBeLessThan(eight!.activations / 3);
});
