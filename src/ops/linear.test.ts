import { expect, test } from "vitest";
import { differentiate } from "../autodiff/backward.js";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Linear", {
  bias: (g, [x, w, b]) => [g.linear(x!, w!, b!)],
  transposed: (g, [x, w]) => [g.linear(x!, w!, undefined, { transposed: true })],
});

test("Linear: the gradient of the input is a Linear again, so that it is lowered as the forward product is", () => {
  const g = createBuilder();
  const [x, w] = [g.input("x", "float32", ["batch", 4]), g.input("w", "float32", [3, 4])];
  const y = g.linear(x, w);
  const before = g.graph.nodes.length;
  differentiate(g, new Map([[y, g.input("dy", "float32", ["batch", 3])]]), [x]);
  expect(g.graph.nodes.slice(before).map((n) => n.op)).toEqual(["Linear"]);
});

test("Linear: a weight or a bias that does not fit is named", () => {
  const g = createBuilder();
  const [x, w] = [g.input("x", "float32", ["batch", 4]), g.input("w", "float32", [3, 4])];
  expect(() => g.linear(x, w, undefined, { transposed: true })).toThrow(
    "Linear: input [batch, 4] does not fit the weight [3, 4].",
  );
  expect(() => g.linear(x, w, g.input("b", "float32", [4]))).toThrow("bias [3] expected, found [4].");
});
