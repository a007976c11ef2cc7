import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { expectGradient, testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Transpose", { "": (g, [x]) => [g.transpose(x!, [2, 0, 1])] });

test("Transpose: without an order the axes are reversed", () =>
  expectGradient((g, [x]) => g.emit("Transpose", [x]), [{ shape: [2, 3, 4] }]));

test("Transpose: an order that is none is refused", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 3]);
  expect(() => g.transpose(x, [0, 0])).toThrow("Transpose: [0, 0] is no order of the axes of [batch, 3].");
  expect(() => g.transpose(x, [0])).toThrow("[0] is no order of the axes of [batch, 3].");
});
