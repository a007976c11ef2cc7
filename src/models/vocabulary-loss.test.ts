import { afterAll, expect, test } from "vitest";
import { gradientsOf } from "../autodiff/backward.js";
import { rngStream } from "../base/rng.js";
import { createBuilder } from "../ops/index.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import { crossEntropy } from "./loss.js";
import { isSliced, vocabularyCrossEntropy } from "./vocabulary-loss.js";
import { Weights } from "./weights.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const [ROWS, WIDTH, VOCABULARY] = [5, 3, 70_001]; // three slices of unequal size

test("loss, hits and gradient are those of the whole vocabulary at once", async () => {
  expect(isSliced(VOCABULARY)).toBe(true);
  const rng = rngStream(1, "vocabulary");
  const table = Float32Array.from({ length: VOCABULARY * WIDTH }, () => rng.normal());
  const weight = {
    shape: [VOCABULARY, WIDTH],
    data: { kind: "inline", dtype: "float32", bytes: new Uint8Array(table.buffer) },
  } as const;
  const g = createBuilder();
  const x = g.input("x", "float32", ["rows", WIDTH]);
  const labels = g.input("labels", "int32", ["rows"]);
  const weights = g.input("weights", "float32", ["rows"]);
  const w = new Weights(g, new Map([["table", weight]]));
  const sliced = vocabularyCrossEntropy(g, w, "table", x, labels, weights);
  const logits = g.linear(x, w.get("table"));
  const whole = crossEntropy(g, logits, labels, weights);
  g.output("logits", logits);
  g.output("correct", sliced.correct);
  g.output("sliced", sliced.loss);
  g.output("whole", whole);
  const [gradient] = gradientsOf(g, sliced.loss, [x]);
  g.output("gradient", gradient!);

  const features = Float32Array.from({ length: ROWS * WIDTH }, () => 3 * rng.normal());
  const feeds = {
    x: { dtype: "float32", shape: [ROWS, WIDTH], data: features },
    // The first and the last token of slices, and a token that is the likeliest (found below).
    labels: { dtype: "int32", shape: [ROWS], data: Int32Array.of(0, 23_333, 23_334, 46_667, 70_000) },
    weights: { dtype: "float32", shape: [ROWS], data: Float32Array.of(0.1, 0.2, 0.3, 0, 0.5) },
  } as const;
  const session = await runtime.open(g.graph);
  const first = await session.run(feeds);
  const scores = first["logits"]!.data as Float32Array;
  const likeliest = scores
    .subarray(4 * VOCABULARY)
    .indexOf(scores.subarray(4 * VOCABULARY).reduce((a, b) => Math.max(a, b)));
  feeds.labels.data[4] = likeliest;
  const found = await session.run(feeds);
  await session.dispose();
  const number = (name: string) => found[name]!.data[0] as number;
  expect(number("sliced")).toBeCloseTo(number("whole"), 4);
  expect(number("correct")).toBe(1);

  // By hand, in float64: Σ_c (p_c − [c = label]) · W_c · w.
  const expected = Array.from({ length: ROWS }, (_, i) => {
    const row = Array.from({ length: VOCABULARY }, (_, c) =>
      [0, 1, 2].reduce((sum, d) => sum + features[i * WIDTH + d]! * table[c * WIDTH + d]!, 0),
    );
    const top = row.reduce((a, b) => Math.max(a, b));
    const total = row.reduce((sum, z) => sum + Math.exp(z - top), 0);
    return [0, 1, 2].map((d) => {
      const mean = row.reduce((sum, z, c) => sum + (Math.exp(z - top) / total) * table[c * WIDTH + d]!, 0);
      return feeds.weights.data[i]! * (mean - table[feeds.labels.data[i]! * WIDTH + d]!);
    });
  }).flat();
  const gradients = found["gradient"]!.data as Float32Array;
  expected.forEach((value, i) => {
    expect(gradients[i]).toBeCloseTo(value, 5);
  });
});
