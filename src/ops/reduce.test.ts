import { expect, test } from "vitest";
import { createBuilder } from "./index.js";

test("reductions: without axes everything is reduced", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 3]);
  expect(g.emit("ReduceSum", [x])[0]!.type.shape).toEqual([1, 1]);
  expect(g.reduceSum(x, []).type.shape).toEqual([]);
});

test("reductions: errors", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 3]);
  expect(() => g.reduceSum(x, [2])).toThrow("ReduceSum: the axis 2 lies outside the shape [batch, 3].");
  expect(() => g.emit("ReduceMean", [x, g.input("axes", "int64", [1])])).toThrow(
    "ReduceMean: the axes are not known before the graph runs.",
  );
});
