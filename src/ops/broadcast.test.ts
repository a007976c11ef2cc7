import { expect, test } from "vitest";
import { broadcastShapes, sumTo } from "./broadcast.js";
import { createBuilder } from "./index.js";

test("shapes broadcast as NumPy's", () => {
  expect(broadcastShapes([2, 1, 4], [3, 1], "Add")).toEqual([2, 3, 4]);
  expect(broadcastShapes([], ["batch", 1], "Add")).toEqual(["batch", 1]);
  expect(broadcastShapes([1], ["batch"], "Add")).toEqual(["batch"]);
  expect(() => broadcastShapes(["batch"], ["tokens"], "Add")).toThrow(
    "Add: the shapes [batch] and [tokens] do not broadcast.",
  );
});

test("operands of different types are refused", () => {
  const g = createBuilder();
  const [a, b] = [g.input("a", "float32", [2]), g.input("b", "int32", [2])];
  expect(() => g.add(a, b)).toThrow("Add: operands of one type expected, found float32 and int32.");
});

test("dimensions that are computed in the graph stay known", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", "tokens"]);
  const [shape] = g.emit("Shape", [x]);
  expect(g.mul(shape!, g.constant("int64", [2], [3, 4])).type.contents).toEqual(["3*batch", "4*tokens"]);
  expect(g.add(shape!, g.constant("int64", [2], [1, 0])).type.contents).toEqual(["batch + 1", "tokens"]);
  expect(g.sub(shape!, g.constant("int64", [2], [1, 0])).type.contents).toBeUndefined();
});

test("the sum over leading axes is a product with ones, any other a ReduceSum, and none where nothing was repeated", () => {
  const nodes = (from: (number | string)[], to: number[]): string[] => {
    const g = createBuilder();
    const x = g.input("x", "float32", from);
    expect(sumTo(g, x, to).type.shape).toEqual(to);
    return g.graph.nodes.map((n) => n.op);
  };
  expect(nodes([8, 7, 3], [3])).toEqual(["Expand", "Reshape", "MatMul", "Reshape"]);
  expect(nodes([8, 3], [1, 3])).toEqual(["Expand", "MatMul"]);
  expect(nodes(["batch", 7, 3], [7, 3])).toEqual(["Shape", "Concat", "Expand", "Reshape", "MatMul", "Reshape"]);
  expect(nodes([8, 7, 3], [8, 1, 3])).toEqual(["ReduceSum"]);
  expect(nodes([8, 7, 3], [])).toEqual(["ReduceSum", "Reshape"]);
  expect(nodes([1, 1, 3], [3])).toEqual(["Reshape"]);
  expect(nodes([8, 1], [8, 1])).toEqual([]);
});
