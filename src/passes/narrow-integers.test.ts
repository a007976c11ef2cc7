import { expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import type { Graph } from "../ir/graph.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { narrowIntegers } from "./narrow-integers.js";

const narrowed = (graph: Graph): Graph => {
  const result = narrowIntegers(graph);
  checkGraph(result, inferWith(ops), "narrowIntegers");
  return result;
};

test("ids, positions and masks have 32 bits; axes and shapes keep 64", () => {
  const g = createBuilder();
  const ids = g.input("ids", "int64", ["batch", "tokens"]);
  const seen = g.greater(ids, g.constant("int64", [], [0]));
  const positions = g.sub(g.cumSum(g.cast(seen, "int64"), 1), g.constant("int64", [1], [1]));
  const [chosen] = g.if(
    g.input("c", "bool", []),
    (h) => [h.mul(positions, ids)],
    () => [ids],
  );
  g.output("y", g.gather(g.input("table", "float32", [9]), g.reshape(chosen!, ["batch", "tokens", 1]), 0));
  g.output("sum", g.reduceSum(g.cast(positions, "float32"), [1]));
  const result = narrowed(g.graph);
  expect(result.inputs.map(({ type }) => type.dtype)).toEqual(["int32", "bool", "float32"]);
  const wide = result.nodes.flatMap(({ op, inputs, outputs }) =>
    [...inputs, ...outputs].filter((v) => v?.type.dtype === "int64").map(() => op),
  );
  expect(wide).toEqual(["CumSum", "Reshape", "ReduceSum"]); // their axes, and the shape
});

test("a result keeps its type", () => {
  const g = createBuilder();
  const x = g.input("x", "int64", ["n"]);
  g.output("same", x);
  const y = g.input("y", "int64", ["n"]);
  g.output("twice", g.add(y, y));
  const result = narrowed(g.graph);
  expect(result.outputs.map(({ value }) => value.type.dtype)).toEqual(["int64", "int64"]);
  expect(result.nodes.map(({ op }) => op)).toEqual(["Add", "Cast"]);
});

test("a graph without integers is as it was", () => {
  const g = createBuilder();
  g.output("y", g.exp(g.input("x", "float32", [2])));
  expect(narrowed(g.graph)).toEqual(g.graph);
});
