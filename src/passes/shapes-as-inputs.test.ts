import { expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { eliminateDead } from "./eliminate-dead.js";
import { shapesAsInputs } from "./shapes-as-inputs.js";

test("a shape that is computed becomes an input, one for each shape, in branches too", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n", 3]);
  const y = g.input("y", "float32", ["m"]);
  const rows = g.expand(g.scalar(1), ["n*m", 2]);
  const [chosen] = g.if(
    g.input("c", "bool", []),
    (h) => [h.expand(h.scalar(2), ["n*m", 2])],
    (h) => [h.expand(h.reduceSum(h.reshape(y, ["m", 1]), [0, 1]), ["n + m", 2])],
  );
  g.output("a", rows);
  g.output("b", chosen!);
  g.output("c", g.add(x, g.scalar(1)));
  const result = eliminateDead(shapesAsInputs(g.graph));
  checkGraph(result, inferWith(ops), "shapesAsInputs");
  const added = result.inputs.filter(({ type }) => type.contents);
  expect(added.map(({ name, type }) => [name, type.contents])).toEqual([
    ["shape: m*n, 2", ["m*n", 2]],
    ["shape: n + m, 2", ["n + m", 2]],
  ]);
  expect(result.nodes.map(({ op }) => op)).toEqual(["Expand", "If", "Add"]);
});

test("a shape that is a result, and one that only the run knows, are computed", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n"]);
  g.output("shape", g.emit("Shape", [x])[0]!);
  expect(shapesAsInputs(g.graph).nodes.map(({ op }) => op)).toEqual(["Shape"]);
  expect(shapesAsInputs(g.graph).inputs).toEqual([x]);
});
