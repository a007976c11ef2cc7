import { expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import type { Graph } from "../ir/graph.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { type LoweringTarget, lowerFor } from "./lower.js";

function sample(): Graph {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n", 2]);
  const bytes = new Uint8Array(Uint16Array.of(0x3c00, 0, 0, 0x3c00).buffer); // the identity in float16
  const w = g.initializer("w", [2, 2], { kind: "inline", dtype: "float16", bytes }, "float32");
  g.exp(x);
  g.output("y", g.quickGelu(g.linear(x, w), 1.702));
  return g.graph;
}

test.each<[LoweringTarget, string[]]>([
  ["cpu", ["Cast", "Gemm", "QuickGelu"]],
  ["webgpu", ["Gemm", "QuickGelu"]],
  ["portable", ["Cast", "Gemm", "Mul", "Sigmoid", "Mul"]],
])(
  "%s: dead nodes, composites and narrow weights are gone, and every pass is shown to the check",
  (target, expected) => {
    const seen: string[] = [];
    const graph = sample();
    const lowered = lowerFor(target, graph, (g, pass) => {
      seen.push(pass);
      checkGraph(g, inferWith(ops), pass);
    });
    expect(lowered.nodes.map(({ op }) => op)).toEqual(expected);
    expect(lowered.nodes.every(({ domain }) => domain !== "glora")).toBe(true);
    expect(seen).toEqual(expect.arrayContaining(["eliminateDead", "lowerLinear"]));
    expect(graph).toEqual(sample());
  },
);
