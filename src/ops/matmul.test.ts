import { expect, test } from "vitest";
import { differentiate } from "../autodiff/backward.js";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("MatMul", {
  matrices: (g, [a, b]) => [g.matmul(a!, b!)],
  batches: (g, [a, b]) => [g.matmul(a!, b!)],
  "shared matrix": (g, [a, b]) => [g.matmul(a!, b!)],
  "shared left matrix": (g, [a, b]) => [g.matmul(a!, b!)],
});

testAgainstTorch("FusedMatMul", {
  transA: (g, [a, b]) => [g.matmul(a!, b!, { transA: true })],
  "transB alpha": (g, [a, b]) => [g.matmul(a!, b!, { transB: true, alpha: 0.5 })],
  "transA transB": (g, [a, b]) => [g.matmul(a!, b!, { transA: true, transB: true })],
  "shared matrix transB": (g, [a, b]) => [g.matmul(a!, b!, { transB: true, alpha: 2 })],
});

test("MatMul: the gradient of a matrix that all rows share is one product, not a batch of them", () => {
  const g = createBuilder();
  const [x, w] = [g.input("x", "float32", ["batch", 7, 4]), g.input("w", "float32", [4, 3])];
  const y = g.matmul(x, w);
  const before = g.graph.nodes.length;
  const [dw] = differentiate(g, new Map([[y, g.input("dy", "float32", ["batch", 7, 3])]]), [w]);
  expect(dw!.type.shape).toEqual([4, 3]);
  expect(g.graph.nodes.slice(before).map((n) => n.op)).toEqual(["Reshape", "Reshape", "FusedMatMul"]);
});

test("MatMul: operands that do not fit are named", () => {
  const g = createBuilder();
  const [a, b, v] = [g.input("a", "float32", [2, 3]), g.input("b", "float32", [2, 3]), g.input("v", "float32", [3])];
  expect(() => g.matmul(a, b)).toThrow("MatMul: inner dimensions differ: [2, 3] · [2, 3].");
  expect(() => g.matmul(a, a, { transA: true, transB: true })).toThrow("inner dimensions differ: [2, 3]ᵀ · [2, 3]ᵀ.");
  expect(() => g.matmul(a, v)).toThrow("operands of two or more axes expected, found [2, 3] and [3].");
});
