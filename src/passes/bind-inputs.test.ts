import { expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { bindInputs } from "./bind-inputs.js";
import { runAsWritten } from "./execution.fixtures.js";

/** y = (taken ? x·w : w) + w */
function sample() {
  const g = createBuilder();
  const [x, w] = [g.input("x", "float32", [2]), g.input("w", "float32", [2])];
  const [chosen] = g.if(
    g.input("taken", "bool", []),
    (b) => [b.mul(x, w)],
    () => [w],
  );
  g.output("y", g.add(chosen!, w));
  return g.graph;
}

test("inputs become weights, in branches too, and the function stays", async () => {
  const graph = sample();
  const x = { dtype: "float32", shape: [2], data: Float32Array.of(3, 5) } as const;
  const w = { dtype: "float32", shape: [2], data: Float32Array.of(9, 2, -1, 9).subarray(1, 3) } as const;
  for (const value of [0, 1]) {
    const taken = { dtype: "bool", shape: [], data: Uint8Array.of(value) } as const;
    const bound = bindInputs(graph, { w, taken });
    checkGraph(bound, inferWith(ops));
    expect(bound.inputs.map(({ name }) => name)).toEqual(["x"]);
    expect(bound.initializers.map(({ name }) => name)).toEqual(expect.arrayContaining(["w", "taken"]));
    expect((await runAsWritten(bound, { x })).outputs["y"]).toEqual(
      (await runAsWritten(graph, { x, w, taken })).outputs["y"],
    );
  }
  expect(graph.inputs).toHaveLength(3);
});

test("nothing to bind: the same graph", () => {
  const graph = sample();
  expect(bindInputs(graph, {})).toBe(graph);
});
