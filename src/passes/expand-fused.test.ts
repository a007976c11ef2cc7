import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { checkGraph } from "../ir/checker.js";
import type { Shape } from "../ir/dim.js";
import { type Graph, type Node, subgraphsOf } from "../ir/graph.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { runAsWritten } from "./execution.fixtures.js";
import { expandFused } from "./expand-fused.js";

const rng = rngStream(5, "expand-fused");
const normal = (...shape: number[]) => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, n) => a * n) }, () => rng.normal()),
});

const nodesOf = (graph: Graph): Node[] =>
  graph.nodes.flatMap((node) => [node, ...subgraphsOf(node).flatMap((branch) => nodesOf(branch))]);

/** Runs a graph with ONNX Runtime's operators and with ONNX's alone; the latter's nodes. */
async function compare(graph: Graph, feeds: Parameters<typeof runAsWritten>[1]): Promise<string[]> {
  const expanded = expandFused(graph);
  checkGraph(expanded, inferWith(ops), "expandFused");
  const nodes = nodesOf(expanded);
  expect(nodes.map(({ domain }) => domain).filter((domain) => domain !== "")).toEqual([]);
  const [fused, plain] = [await runAsWritten(graph, feeds), await runAsWritten(expanded, feeds)];
  for (const [name, values] of Object.entries(fused.outputs)) {
    const other = plain.outputs[name]!;
    // The factor is applied in front of a sum of up to four products instead of behind it.
    values.forEach((value, i) => {
      expect(Math.abs(value - other[i]!)).toBeLessThan(1e-6 * Math.max(1, Math.abs(value)));
    });
  }
  return nodes.map(({ op }) => op);
}

const batch: Shape = ["batch", 2];
test.each([
  { a: [...batch, 3, 4], b: [...batch, 5, 4], o: { transB: true, alpha: 0.5 }, nodes: ["Mul", "Transpose", "MatMul"] },
  { a: [...batch, 4, 3], b: [...batch, 4, 5], o: { transA: true }, nodes: ["Transpose", "MatMul"] },
  {
    a: [4, 3],
    b: [5, 4],
    o: { transA: true, transB: true, alpha: -2 },
    nodes: ["Mul", "Transpose", "Transpose", "MatMul"],
  },
  { a: [...batch, 3, 4], b: [4, 5], o: { alpha: 3 }, nodes: ["Mul", "MatMul"] },
])("FusedMatMul of $a and $b, $o", async ({ a, b, o, nodes }) => {
  const g = createBuilder();
  g.output("y", g.matmul(g.input("a", "float32", a), g.input("b", "float32", b), o));
  expect(g.graph.nodes.map(({ op }) => op)).toEqual(["FusedMatMul"]);
  const actual = (shape: Shape): number[] => shape.map((d) => (d === "batch" ? 3 : (d as number)));
  expect(await compare(g.graph, { a: normal(...actual(a)), b: normal(...actual(b)) })).toEqual(nodes);
});

test("QuickGelu, also inside a branch", async () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n"]);
  const [y] = g.if(
    g.input("taken", "bool", []),
    (h) => [h.quickGelu(x, 1.702)],
    (h) => [h.neg(x)],
  );
  g.output("y", g.quickGelu(y!, 1));
  const nodes = await compare(g.graph, { x: normal(9), taken: { shape: [], data: Uint8Array.of(1) } });
  expect(nodes).toEqual(["If", "Mul", "Sigmoid", "Mul", "Neg", "Mul", "Sigmoid", "Mul"]);
});

test("LayerNormalization keeps its statistics only where they are read", async () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n", 6]);
  const scale = g.input("scale", "float32", [6]);
  const y = g.layerNorm(x, scale, undefined, 1e-6);
  g.layerNorm(y, scale, scale, 1e-3);
  g.output("y", g.graph.nodes[1]!.outputs[0]!);
  g.output("mean", g.graph.nodes[1]!.outputs[1]!);
  expect(g.graph.nodes.map(({ outputs }) => outputs.length)).toEqual([3, 3]);
  expect(expandFused(g.graph).nodes.map(({ outputs }) => outputs.length)).toEqual([1, 3]);
  await compare(g.graph, { x: normal(4, 6), scale: normal(6) });
});

test("SimplifiedLayerNormalization", async () => {
  const g = createBuilder();
  g.output("y", g.rmsNorm(g.input("x", "float32", ["n", 6]), g.input("scale", "float32", [6]), 0.1));
  expect(await compare(g.graph, { x: normal(4, 6), scale: normal(6) })).toEqual(
    ["Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul"], // ONNX Runtime alone knows it, though its domain is ONNX's
  );
});

test.each([
  { heads: 3, turned: undefined },
  { heads: 2, turned: 4 },
])("RotaryEmbedding, %o", async ({ heads, turned }) => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n", "t", 12]);
  const positions = g.cast(g.input("p", "float32", ["n", "t"]), "int64");
  const [cos, sin] = [g.input("cos", "float32", [5, 2]), g.input("sin", "float32", [5, 2])];
  g.output("y", g.rotate(x, positions, cos, sin, heads, turned));
  const p = { shape: [2, 3], data: Float32Array.of(0, 4, 2, 1, 3, 3) };
  await compare(g.graph, { x: normal(2, 3, 12), p, cos: normal(5, 2), sin: normal(5, 2) });
});
