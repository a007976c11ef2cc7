/** Each rewrite is compared with what it replaces, both run on the CPU; src/runtime/node runs them on WebGPU. */
import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import type { Builder } from "../ir/builder.js";
import { checkGraph } from "../ir/checker.js";
import { addDims, type Dim, type Shape } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { runAsWritten } from "./execution.fixtures.js";
import { webgpuKernels } from "./webgpu-kernels.js";

const rng = rngStream(6, "webgpu kernels");
const normal = (...shape: number[]) => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, n) => a * n) }, () => rng.normal()),
});

/** Largest difference that the rewrite makes, and the operators that it leaves. */
async function compare(build: (g: Builder) => readonly Value[], feeds: Parameters<typeof runAsWritten>[1]) {
  const g = createBuilder();
  build(g).forEach((y, i) => {
    g.output(`y${i}`, y);
  });
  const rewritten = webgpuKernels(g.graph);
  checkGraph(rewritten, inferWith(ops), "webgpuKernels");
  const [before, after] = [await runAsWritten(g.graph, feeds), await runAsWritten(rewritten, feeds)];
  const differences = Object.entries(before.outputs).flatMap(([name, values]) =>
    Array.from<number, number>(values, (value, i) => Math.abs(Number(value) - Number(after.outputs[name]![i]))),
  );
  return { worst: Math.max(...differences), nodes: rewritten.nodes.map(({ op }) => op), outputs: after.outputs };
}

test.each<{ a: Shape; b: Shape; o: object; nodes: string[] }>([
  { a: [3, 4], b: [5, 4], o: { transB: true }, nodes: ["Gemm"] },
  { a: [4, 3], b: [4, 5], o: { transA: true, alpha: 0.5 }, nodes: ["Gemm", "Mul"] },
  { a: [2, 3, 4], b: [2, 5, 4], o: { transB: true, alpha: 0.5 }, nodes: ["Mul", "Transpose", "MatMul"] },
])("FusedMatMul of $a and $b, $o", async ({ a, b, o, nodes }) => {
  const found = await compare((g) => [g.matmul(g.input("a", "float32", a), g.input("b", "float32", b), o)], {
    a: normal(...(a as number[])),
    b: normal(...(b as number[])),
  });
  expect(found.nodes).toEqual(nodes);
  expect(found.worst).toBeLessThan(1e-6); // the factor in front of a sum of four products, or behind it
});

test.each([0, -1])("LogSoftmax along axis %i: no overflow and no logarithm of 0", async (axis) => {
  const x = { shape: [2, 3], data: Float32Array.of(1, 2, 3, 1e4, -1e4, 9999) };
  const found = await compare((g) => [g.logSoftmax(g.input("x", "float32", ["n", 3]), axis)], { x });
  expect(found.nodes).not.toContain("LogSoftmax");
  expect(found.worst).toBeLessThan(2e-7 * 2e4); // roundings of numbers up to 2e4
  expect(found.outputs["y0"]!.every(Number.isFinite)).toBe(true);
});

test("Or of every pair, broadcast", async () => {
  const a = { shape: [2, 1], data: Uint8Array.of(0, 1) };
  const b = { shape: [2], data: Uint8Array.of(0, 1) };
  const found = await compare((g) => [g.or(g.input("a", "bool", [2, 1]), g.input("b", "bool", [2]))], { a, b });
  expect([...found.outputs["y0"]!]).toEqual([0, 1, 1, 1]);
  expect(found.worst).toBe(0);
  expect(found.nodes).not.toContain("Or");
});

test("Split in as many parts as it likes, of known lengths and unknown", async () => {
  const lengths: Shape = [1, "n", 2, 3, 1, 1, 2, 1, 4, "n", ...Array<number>(50).fill(1)];
  const elements = lengths.reduce<Dim>(addDims, 0); // 65 + 2n
  const x = normal(65 + 2 * 3, 2);
  const parts = (count: number) => (g: Builder) => {
    g.input("n", "float32", ["n"]);
    return g.split(g.input("x", "float32", [elements, 2]), lengths, 0).slice(0, count);
  };
  const found = await compare(parts(60), { x, n: normal(3) });
  expect(found.worst).toBe(0);
  const few = await compare((g) => g.split(g.input("x", "float32", [7]), Array<number>(7).fill(1), 0), {
    x: normal(7),
  });
  expect(few.nodes).toEqual(["Split"]);
  const splits = webgpuKernels(
    ((g) => {
      parts(60)(g);
      return g.graph;
    })(createBuilder()),
  ).nodes.filter(({ op }) => op === "Split");
  expect(Math.max(...splits.map(({ outputs }) => outputs.length))).toBe(7);
});

test("SimplifiedLayerNormalization with its second output; with one it stays", async () => {
  const build = (outputs: number) => (g: Builder) =>
    g.emit(
      "SimplifiedLayerNormalization",
      [g.input("x", "float32", ["n", 6]), g.input("s", "float32", [6])],
      {},
      { outputs },
    );
  const feeds = { x: normal(4, 6), s: normal(6) };
  const found = await compare(build(2), feeds);
  expect(found.nodes).not.toContain("SimplifiedLayerNormalization");
  expect(found.worst).toBeLessThan(1e-6);
  expect((await compare(build(1), feeds)).nodes).toEqual(["SimplifiedLayerNormalization"]);
});

test("RotaryEmbedding", async () => {
  const found = await compare(
    (g) => {
      const positions = g.cast(g.input("p", "float32", ["n", "t"]), "int64");
      const [cos, sin] = [g.input("cos", "float32", [5, 2]), g.input("sin", "float32", [5, 2])];
      return [g.rotate(g.input("x", "float32", ["n", "t", 12]), positions, cos, sin, 3)];
    },
    {
      x: normal(2, 3, 12),
      p: { shape: [2, 3], data: Float32Array.of(0, 4, 2, 1, 3, 3) },
      ...{ cos: normal(5, 2), sin: normal(5, 2) },
    },
  );
  expect(found.nodes).not.toContain("RotaryEmbedding");
  expect(found.worst).toBeLessThan(1e-6);
});

test.each(["cos", "sin"] as const)("%s of small and large angles", async (name) => {
  const angles = [0, 1e-4, 0.5, -0.5, Math.PI, -Math.PI, 2 * Math.PI, 3, -7, 100.25, -12345.5, 1e5, 131071];
  const data = Float32Array.from([...angles, ...Array.from({ length: 200 }, () => 3000 * rng.normal())]);
  const found = await compare((g) => [g[name](g.input("x", "float32", [data.length]))], {
    x: { shape: [data.length], data },
  });
  // Beside float64's, which JavaScript computes; what is left is the rounding of the reduced angle (6e-8 · 2π) and of ten sums.
  const exact = Array.from(data, (angle) => Math[name](angle));
  const worst = Math.max(...exact.map((value, i) => Math.abs(value - found.outputs["y0"]![i]!)));
  expect(worst).toBeLessThan(2e-6);
  expect(found.nodes).not.toContain(name === "cos" ? "Cos" : "Sin");
});

test("what WebGPU does well stays", async () => {
  const found = await compare((g) => [g.softmax(g.exp(g.input("x", "float32", [2, 3])))], { x: normal(2, 3) });
  expect(found.nodes).toEqual(["Exp", "Softmax"]);
});
