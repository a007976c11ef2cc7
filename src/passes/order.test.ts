import { expect, test } from "vitest";
import { gradientsOf } from "../autodiff/backward.js";
import { rngStream } from "../base/rng.js";
import { inlineFloat32 } from "../ir/builder.js";
import type { Graph, Value } from "../ir/graph.js";
import { createBuilder } from "../ops/index.js";
import { eliminateDead } from "./eliminate-dead.js";
import { executionOrder, peakBytes, runAsWritten } from "./execution.fixtures.js";
import { lowerLinear } from "./lower-linear.js";
import { gradientSeed, orderNodes } from "./order.js";
import { widenWeights } from "./widen-weights.js";

const [WIDTH, HIDDEN, BLOCKS, ROWS] = [8, 32, 6, 16];

/**
 * x ← x + W₂·gelu((W₁·norm(x)) ⊙ s + e), six times, and the gradient of the mean square of the last x with respect to
 * every s and e, packed in one output, and of every W, each an output.
 */
function network(backward = true): Graph {
  const g = createBuilder();
  const rng = rngStream(1, "network");
  const weight = (name: string, ...shape: number[]): Value => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => 0.3 * rng.normal());
    return g.initializer(name, shape, inlineFloat32(values, shape));
  };
  let x = g.input("x", "float32", ["rows", WIDTH]);
  const packed = g.input("packed", "float32", [2 * BLOCKS * HIDDEN]);
  const pieces = g.split(packed, Array<number>(2 * BLOCKS).fill(HIDDEN), 0);
  const weights: Value[] = [];
  for (let i = 0; i < BLOCKS; i++) {
    const [w1, w2] = [weight(`w1.${i}`, HIDDEN, WIDTH), weight(`w2.${i}`, WIDTH, HIDDEN)];
    const normed = g.layerNorm(x, weight(`norm.${i}`, WIDTH), undefined, 1e-6);
    const wide = g.add(g.mul(g.linear(normed, w1), pieces[2 * i]!), pieces[2 * i + 1]!);
    x = g.add(x, g.linear(g.gelu(wide), w2));
    weights.push(w1, w2);
  }
  const loss = g.reduceMean(g.mul(x, x), [0, 1]);
  g.output("y", x);
  g.output("loss", loss);
  if (!backward) return g.graph;
  const [gradient, ...gradients] = gradientsOf(g, loss, [packed, ...weights]);
  g.output("gradient", gradient!);
  gradients.forEach((dW, i) => {
    g.output(`grad.${weights[i]!.name}`, dW);
  });
  return g.graph;
}

const natural = lowerLinear(eliminateDead(network()));
const ordered = orderNodes(natural);
const rng = rngStream(2, "feeds");
const feeds = {
  x: { shape: [ROWS, WIDTH], data: Float32Array.from({ length: ROWS * WIDTH }, () => rng.normal()) },
  packed: {
    shape: [2 * BLOCKS * HIDDEN],
    data: Float32Array.from({ length: 2 * BLOCKS * HIDDEN }, () => rng.normal()),
  },
};

test("the model of ONNX Runtime's order is what its own profile shows", async () => {
  for (const graph of [natural, ordered]) {
    const { order } = await runAsWritten(graph, feeds);
    expect(executionOrder(graph).map(({ name }) => name)).toEqual(order);
  }
});

test("outputs are the same to the bit", async () => {
  const expected = await runAsWritten(natural, feeds);
  expect((await runAsWritten(ordered, feeds)).outputs).toEqual(expected.outputs);
  expect(Object.values(expected.outputs).every((y) => y.some((v) => v !== 0))).toBe(true);
});

test("the file: what is independent of the seed, the chain of gradients, leaves in reverse, the pack of them", () => {
  expect(new Set(ordered.nodes)).toEqual(new Set(natural.nodes));
  const seed = ordered.initializers.find(({ name }) => name === gradientSeed)!;
  const dependent = new Set<Value>([seed]);
  for (const node of ordered.nodes)
    if (node.inputs.some((v) => v && dependent.has(v))) for (const y of node.outputs) dependent.add(y);
  const depends = ordered.nodes.map((node) => node.outputs.some((y) => dependent.has(y)));
  expect(depends).toEqual([...depends].sort()); // false, …, true, …
  expect(depends).toContain(false);

  const producer = (value: Value): number => ordered.nodes.findIndex((node) => node.outputs.includes(value));
  const outputs = new Map(ordered.outputs.map(({ name, value }) => [name, value]));
  const pack = producer(outputs.get("gradient")!);
  expect(pack).toBe(ordered.nodes.length - 1);
  // In the file, gradients of the first block stand behind those of the last, so that they are pulled after them.
  const ofWeights = Array.from({ length: BLOCKS }, (_, i) => producer(outputs.get(`grad.w1.${i}`)!));
  expect(ofWeights).toEqual([...ofWeights].sort((a, b) => a - b));
  const pieces = ordered.nodes[pack]!.inputs.map((v) => producer(v!));
  expect(pieces.filter((_, i) => i % 2 === 0)).toEqual(pieces.filter((_, i) => i % 2 === 0).sort((a, b) => a - b));
});

test("fewer bytes live at once", () => {
  const symbols = { rows: 1024 };
  const [before, after] = [peakBytes(natural, symbols), peakBytes(ordered, symbols)];
  expect(after).toBeLessThan(0.9 * before); // 3.84 MB become 3.22 MB
});

test("a graph without gradients keeps its order", () => {
  const forward = network(false);
  expect(orderNodes(forward).nodes).toEqual(forward.nodes);
});

test("a 16-bit weight is widened right before the product that reads it", () => {
  const g = createBuilder();
  let x = g.input("x", "float32", ["rows", 2]);
  for (const i of [0, 1, 2]) {
    const data = { kind: "inline", dtype: "float16", bytes: new Uint8Array(8) } as const;
    x = g.relu(g.linear(x, g.initializer(`w.${i}`, [2, 2], data, "float32")));
  }
  g.output("y", x);
  const widened = widenWeights(lowerLinear(g.graph));
  const run = (graph: Graph) => executionOrder(graph).flatMap(({ op }) => (op === "Reshape" ? [] : [op]));
  expect(run(widened).slice(0, 3)).toEqual(["Cast", "Cast", "Cast"]);
  expect(run(orderNodes(widened))).toEqual(["Cast", "Gemm", "Relu", "Cast", "Gemm", "Relu", "Cast", "Gemm", "Relu"]);
});
