import { describe, expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import { type Graph, type Node, subgraphsOf, type TensorData } from "../ir/graph.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { runAsWritten } from "./execution.fixtures.js";
import { widenWeights } from "./widen-weights.js";

/** 1.5 and −2 */
const stored = { float16: [0x3e00, 0xc000], bfloat16: [0x3fc0, 0xc000] } as const;

/** y = (taken ? x·w : w) · (x + w): three uses of w, two of them in branches. */
function sample(dtype: "float16" | "bfloat16" | "float32"): Graph {
  const g = createBuilder();
  const x = g.input("x", "float32", [2]);
  const bytes = dtype === "float32" ? Float32Array.of(1.5, -2) : Uint16Array.from(stored[dtype]);
  const data: TensorData = { kind: "inline", dtype, bytes: new Uint8Array(bytes.buffer) };
  const w = g.initializer("w", [2], data, "float32");
  const [chosen] = g.if(
    g.input("taken", "bool", []),
    (b) => [b.mul(x, w)],
    () => [w],
  );
  g.output("y", g.mul(chosen!, g.add(x, w)));
  return g.graph;
}

describe.each(["float16", "bfloat16"] as const)("a weight of %s", (dtype) => {
  const graph = sample(dtype);
  const wide = widenWeights(graph);

  test("is cast where it is used, once for each use, in the branch that uses it", () => {
    checkGraph(wide, inferWith(ops), "widenWeights");
    const opsOf = (nodes: readonly Node[]): string[] => nodes.map(({ op }) => op);
    expect(opsOf(wide.nodes)).toEqual(["If", "Cast", "Add", "Mul"]);
    expect(subgraphsOf(wide.nodes[0]!).map((branch) => opsOf(branch.nodes))).toEqual([
      ["Cast", "Mul"],
      ["Cast", "Identity"],
    ]);
  });

  test("stays as it is stored, in the graph that was given too", () => {
    const weight = wide.find("w")!;
    expect(weight.type.dtype).toBe(dtype);
    expect(weight.data).toBe(graph.find("w")!.data);
    expect(graph.find("w")!.type.dtype).toBe("float32");
  });

  test.each([0, 1])("computes what the wide weight does (taken: %d)", async (taken) => {
    const feeds = {
      x: { shape: [2], data: Float32Array.of(3, 0.5) },
      taken: { shape: [], data: Uint8Array.of(taken) },
    };
    const { outputs } = await runAsWritten(wide, feeds);
    const expected = taken ? [3 * 1.5 * (3 + 1.5), 0.5 * -2 * (0.5 - 2)] : [1.5 * (3 + 1.5), -2 * (0.5 - 2)];
    expect([...outputs["y"]!]).toEqual(expected);
  });
});

test("a graph of float32 weights is left alone", () => {
  const graph = sample("float32");
  expect(widenWeights(graph)).toBe(graph);
});
