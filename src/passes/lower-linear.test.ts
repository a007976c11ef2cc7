import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { inlineFloat32 } from "../ir/builder.js";
import type { Shape } from "../ir/dim.js";
import { createBuilder } from "../ops/index.js";
import { runAsWritten } from "./execution.fixtures.js";
import { lowerLinear } from "./lower-linear.js";

const [IN, OUT] = [3, 2];
const rng = rngStream(4, "lower-linear");
const normal = (n: number): Float32Array => Float32Array.from({ length: n }, () => rng.normal());

const cases: readonly { shape: Shape; actual: number[]; transposed: boolean; bias: boolean; nodes: string[] }[] = [
  { shape: [4, IN], actual: [4, IN], transposed: false, bias: true, nodes: ["Gemm"] },
  { shape: ["n", IN], actual: [0, IN], transposed: false, bias: true, nodes: ["Gemm"] },
  { shape: ["n", IN], actual: [4, IN], transposed: true, bias: false, nodes: ["Gemm"] },
  { shape: ["n", 5, IN], actual: [4, 5, IN], transposed: false, bias: true, nodes: ["Reshape", "Gemm", "Reshape"] },
  { shape: [2, "m", IN], actual: [2, 5, IN], transposed: true, bias: true, nodes: ["Reshape", "Gemm", "Reshape"] },
  { shape: [IN], actual: [IN], transposed: false, bias: false, nodes: ["Reshape", "Gemm", "Reshape"] },
  // Two unknown lengths are computed when it runs.
  {
    ...{ shape: ["n", "m", IN], actual: [2, 5, IN], transposed: false, bias: true },
    nodes: ["Reshape", "Gemm", "Shape", "Shape", "Concat", "Reshape"],
  },
];

test.each(cases)(
  "x $shape, transposed: $transposed, bias: $bias",
  async ({ shape, actual, transposed, bias, nodes }) => {
    const g = createBuilder();
    const x = g.input("x", "float32", shape);
    const [W, b] = [normal(OUT * IN), normal(OUT)];
    const stored = transposed ? [IN, OUT] : [OUT, IN];
    const weight = g.initializer("W", stored, inlineFloat32(W, stored));
    const y = g.linear(x, weight, bias ? g.initializer("b", [OUT], inlineFloat32(b, [OUT])) : undefined, {
      transposed,
    });
    g.output("y", y);
    const lowered = lowerLinear(g.graph);
    expect(lowered.nodes.map(({ op }) => op).filter((op) => op !== "Identity")).toEqual(nodes);
    expect(lowered.outputs[0]!.value.type.shape).toEqual(y.type.shape);

    const data = normal(actual.reduce((a, n) => a * n));
    const { outputs } = await runAsWritten(lowered, { x: { shape: actual, data } });
    const expected = Array.from({ length: (data.length / IN) * OUT }, (_, k) => {
      const [row, i] = [Math.floor(k / OUT), k % OUT];
      const at = (j: number): number => W[transposed ? j * OUT + i : i * IN + j]!;
      return [0, 1, 2].reduce((sum, j) => sum + data[row * IN + j]! * at(j), bias ? b[i]! : 0);
    });
    const worst = Math.max(0, ...expected.map((v, k) => Math.abs(v - outputs["y"]![k]!)));
    expect(outputs["y"]).toHaveLength(expected.length);
    expect(worst).toBeLessThan(2e-6); // float32 sums of four numbers near 1
  },
);
