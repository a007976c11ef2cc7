import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Where", { "": (g, [condition, a, b]) => [g.where(condition!, a!, b!)] });

test("Where: wrong types are named", () => {
  const g = createBuilder();
  const [c, a] = [g.input("c", "int32", [2]), g.input("a", "float32", [2])];
  expect(() => g.where(c, a, a)).toThrow(
    "Where: a bool and two operands of one type expected, found int32, float32 and float32.",
  );
});
