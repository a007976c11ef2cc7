import { expect, test } from "vitest";
import { createBuilder } from "../ops/index.js";
import { evaluate, type Sample } from "../ops/testing.fixtures.js";
import type { Builder } from "./builder.js";
import { inlineFloat32 } from "./builder.js";
import type { Shape } from "./dim.js";
import { capturesOf, type Graph, subgraphsOf, type Value } from "./graph.js";

/** The values 0, 1, 2, … */
const range = (...shape: number[]): Sample => ({
  dtype: "float32",
  shape,
  values: Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => i),
});

/** What `body` makes of the values 0, 1, 2, … under the symbolic shape, for each of the given sizes. */
async function runs(shape: Shape, sizes: readonly number[][], body: (g: Builder, x: Value) => Value) {
  const g = createBuilder();
  const y = body(g, g.input("x", "float32", shape));
  g.output("y", y);
  const found: Sample[] = [];
  for (const size of sizes) found.push((await evaluate(g.graph, { x: range(...size) }))["y"]!);
  return { type: y.type, found, ops: g.graph.nodes.map((n) => n.op) };
}

test("names are given once, also inside branches and when a graph is continued", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [2]);
  const c = g.input("c", "bool", []);
  expect(g.input("x", "float32", [2]).name).toBe("x_1");
  g.scope("block.0", () => g.scope("attn", () => g.neg(g.neg(x))));
  g.if(
    c,
    (h) => [h.scope("inner", () => h.neg(x))],
    (h) => [h.scope("inner", () => h.neg(x))],
  );
  expect(() =>
    g.scope("broken", () => {
      throw new Error("stop");
    }),
  ).toThrow("stop");
  g.neg(x);
  const names = (graph: Graph): string[] => graph.nodes.flatMap((n) => [n.name, ...subgraphsOf(n).flatMap(names)]);
  expect(names(g.graph)).toEqual(["block.0.attn/Neg", "block.0.attn/Neg_1", "If", "inner/Neg", "inner/Neg_1", "Neg"]);
  const more = createBuilder(g.graph);
  more.scope("inner", () => more.neg(x));
  more.neg(x);
  expect(new Set(names(more.graph)).size).toBe(8);
});

test("equal constants are written once, in the outermost graph", async () => {
  const g = createBuilder();
  const [x, c] = [g.input("x", "float32", [2]), g.input("c", "bool", [])];
  const [y] = g.if(
    c,
    (h) => [h.mul(x, h.scalar(3))],
    (h) => [h.add(x, h.scalar(3))],
  );
  expect(g.scalar(3)).toBe(g.scalar(3));
  expect(g.scalar(3)).not.toBe(g.scalar(3, "float64"));
  expect(g.graph.initializers.map((v) => v.type.dtype)).toEqual(["float32", "float64"]);
  expect(g.graph.nodes.flatMap(subgraphsOf).flatMap((branch) => branch.initializers)).toEqual([]);
  expect(() => g.scalar(1, "bfloat16")).toThrow("A constant of type float32 or float64 expected, found bfloat16.");
  g.output("y", y!);
  for (const [taken, values] of [
    [1, [0, 3]],
    [0, [3, 4]],
  ] as const)
    expect((await evaluate(g.graph, { x: range(2), c: { dtype: "bool", shape: [], values: [taken] } }))["y"]).toEqual({
      dtype: "float32",
      shape: [2],
      values,
    });
});

test("constants of every type arrive as they were given", async () => {
  const g = createBuilder();
  for (const dtype of ["float32", "float64", "int32", "int64", "bool"] as const)
    g.output(dtype, g.constant(dtype, [2], [1, 0]));
  g.output("inline", g.initializer("w", [1, 2], inlineFloat32(Float32Array.of(9, 1.5, -2).subarray(1), [1, 2])));
  const found = await evaluate(g.graph, {});
  for (const dtype of ["float32", "float64", "int32", "int64", "bool"])
    expect(found[dtype]).toEqual({ dtype, shape: [2], values: [1, 0] });
  expect(found["inline"]).toEqual({ dtype: "float32", shape: [1, 2], values: [1.5, -2] });
  expect(() => inlineFloat32(new Float32Array(3), [2])).toThrow("3 values do not fill [2].");
});

test("a branch returns captured values, constants, and one value twice", async () => {
  const g = createBuilder();
  const [x, c] = [g.input("x", "float32", [2]), g.input("c", "bool", [])];
  const outputs = g.if(
    c,
    (h) => {
      const y = h.neg(x);
      return [x, h.constant("float32", [2], [5, 6]), y, y];
    },
    (h) => [h.neg(x), x, x, h.constant("float32", [2], [7, 8])],
  );
  expect(capturesOf(g.graph.nodes[0]!)).toEqual([
    x,
    g.constant("float32", [2], [5, 6]),
    g.constant("float32", [2], [7, 8]),
  ]);
  outputs.forEach((y, i) => {
    g.output(`y${i}`, y);
  });
  const run = async (taken: number) =>
    Object.values(await evaluate(g.graph, { x: range(2), c: { dtype: "bool", shape: [], values: [taken] } })).map((y) =>
      y.values.map((v) => v + 0),
    );
  expect(await run(1)).toEqual([
    [0, 1],
    [5, 6],
    [0, -1],
    [0, -1],
  ]);
  expect(await run(0)).toEqual([
    [0, -1],
    [0, 1],
    [0, 1],
    [7, 8],
  ]);
});

test("reshape: one unknown dimension is a constant target", async () => {
  const { ops, found } = await runs(
    ["batch", 6],
    [
      [2, 6],
      [0, 6],
    ],
    (g, x) => g.reshape(x, ["batch", 2, 3]),
  );
  expect(ops).toEqual(["Reshape"]);
  expect(found.map((y) => y.shape)).toEqual([
    [2, 2, 3],
    [0, 2, 3],
  ]);
  const folded = await runs(
    ["batch", 2, 3],
    [
      [2, 2, 3],
      [0, 2, 3],
    ],
    (g, x) => g.reshape(x, ["2*batch", 3]),
  );
  expect(folded.ops).toEqual(["Reshape"]);
  expect(folded.found.map((y) => y.shape)).toEqual([
    [4, 3],
    [0, 3],
  ]);
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 3]);
  expect(g.reshape(x, ["batch", 3])).toBe(x);
});

test("reshape: two symbols are read off the inputs, products and sums of them computed", async () => {
  const sizes = [
    [2, 3, 4],
    [0, 3, 4],
    [2, 0, 4],
  ];
  const merged = await runs(["batch", "tokens", 4], sizes, (g, x) => g.reshape(x, ["batch*tokens", 2, 2]));
  expect(merged.found.map((y) => y.shape)).toEqual([
    [6, 2, 2],
    [0, 2, 2],
    [0, 2, 2],
  ]);
  const halves = await runs(["batch", "tokens", 4], sizes, (g, x) => g.reshape(x, ["tokens", "2*batch", 2]));
  expect(halves.type.shape).toEqual(["tokens", "2*batch", 2]);
  expect(halves.ops).toEqual(["Shape", "Shape", "Mul", "Concat", "Reshape"]);
  expect(halves.found.map((y) => y.shape)).toEqual([
    [3, 4, 2],
    [3, 0, 2],
    [0, 4, 2],
  ]);
  expect(halves.found[0]!.values).toEqual(range(24).values);
  // One copied and one computed dimension: −1 beside a dimension of 0 has no meaning, so the shape is computed.
  const beside = await runs(["batch", "tokens", 4], sizes, (g, x) => g.reshape(x, ["batch", "4*tokens"]));
  expect(beside.found.map((y) => y.shape)).toEqual([
    [2, 12],
    [0, 12],
    [2, 0],
  ]);
});

test("a shape that is computed is computed once, and seen in the branches", () => {
  const g = createBuilder();
  const [x, c] = [g.input("x", "float32", ["batch", "tokens"]), g.input("c", "bool", [])];
  expect(g.shapeTensor(["tokens", "batch"])).toBe(g.shapeTensor(["tokens", "batch"]));
  const before = g.graph.nodes.length;
  g.if(
    c,
    (h) => [h.reshape(x, ["tokens", "batch"])],
    (h) => [h.zeros(["tokens", "batch"])],
  );
  expect(g.graph.nodes.slice(before).map((n) => n.op)).toEqual(["If"]);
  expect(subgraphsOf(g.graph.nodes.at(-1)!).map((b) => b.nodes.map((n) => n.op))).toEqual([["Reshape"], ["Expand"]]);
  expect(() => g.zeros(["heads"])).toThrow('No graph input has the dimension "heads".');
  expect(() => g.zeros(["2*heads"])).toThrow('No graph input has the dimension "heads".');
});

test("a shape that a branch computes stays in the branch", async () => {
  const g = createBuilder();
  const [x, c] = [g.input("x", "float32", ["batch", "tokens"]), g.input("c", "bool", [])];
  const [y] = g.if(
    c,
    (h) => [h.expand(h.scalar(1), ["tokens", "batch"])],
    (h) => [h.reshape(x, ["tokens", "batch"])],
  );
  g.output("y", g.add(y!, g.zeros(["tokens", "batch"])));
  for (const [taken, values] of [
    [1, [1, 1, 1, 1, 1, 1]],
    [0, [0, 1, 2, 3, 4, 5]],
  ] as const)
    expect(
      (await evaluate(g.graph, { x: range(2, 3), c: { dtype: "bool", shape: [], values: [taken] } }))["y"],
    ).toEqual({
      dtype: "float32",
      shape: [3, 2],
      values,
    });
});

test("expand and zeros take symbols, sums of them too", async () => {
  const { type, found } = await runs(
    ["batch", "tokens"],
    [
      [2, 3],
      [0, 1],
    ],
    (g, x) => {
      const longer = g.concat([x, g.zeros(["batch", 2])], 1); // [batch, tokens + 2]
      return g.add(g.expand(g.scalar(1), longer.type.shape), longer);
    },
  );
  expect(type.shape).toEqual(["batch", "tokens + 2"]);
  expect(found.map((y) => y.shape)).toEqual([
    [2, 5],
    [0, 3],
  ]);
  expect(found[0]!.values).toEqual([1, 2, 3, 1, 1, 4, 5, 6, 1, 1]);
});

test("slice counts negative bounds from the end; pad puts zeros around", async () => {
  const { found } = await runs(["batch", 4], [[1, 4]], (g, x) => g.pad(g.slice(x, 1, 1, -1), [0, 0], [0, 1]));
  expect(found[0]).toEqual({ dtype: "float32", shape: [1, 3], values: [1, 2, 0] });
});
