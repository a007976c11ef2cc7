import { expect, test } from "vitest";
import { float } from "../ir/graph.js";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Gemm", {
  "a row": (g, [a, b, c]) => [g.gemm(a!, b!, c!)],
  "transA a column": (g, [a, b, c]) => [g.gemm(a!, b!, c!, { transA: true })],
  "transB a scalar": (g, [a, b, c]) => [g.gemm(a!, b!, c!, { transB: true })],
  "transA transB": (g, [a, b]) => [g.gemm(a!, b!, undefined, { transA: true, transB: true })],
});

test("Gemm: errors", () => {
  const g = createBuilder();
  const [a, b, c] = [g.input("a", "float32", [2, 3]), g.input("b", "float32", [3, 4]), g.input("c", "float32", [3])];
  expect(() => g.gemm(a, a)).toThrow("Gemm: [2, 3] · [2, 3] is no product of two matrices.");
  expect(() => g.gemm(a, c)).toThrow("[2, 3] · [3] is no product of two matrices.");
  expect(() => g.gemm(a, b, c)).toThrow("the shapes [3] and [2, 4] do not broadcast.");
  expect(() => g.gemm(a, b, g.input("d", "float32", [1, 2, 4]))).toThrow("c [1, 2, 4] does not broadcast to [2, 4].");
  expect(() => g.emit("Gemm", [a, b], { alpha: float(0.5) })).toThrow(
    "Gemm with alpha or beta other than 1 is not supported; scale with Mul.",
  );
});
