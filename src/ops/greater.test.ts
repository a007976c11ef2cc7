import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { evaluate } from "./testing.fixtures.js";

test("Greater, And, Or: truth tables", async () => {
  const g = createBuilder();
  const [a, b] = [g.input("a", "int64", [2, 1]), g.input("b", "int64", [2])];
  const [a1, b1] = [g.greater(a, b), g.equal(a, b)];
  g.output("greater", a1);
  g.output("and", g.and(a1, b1));
  g.output("or", g.or(a1, b1));
  const found = await evaluate(g.graph, {
    a: { dtype: "int64", shape: [2, 1], values: [1, 2] },
    b: { dtype: "int64", shape: [2], values: [1, 2] },
  });
  expect(found["greater"]).toEqual({ dtype: "bool", shape: [2, 2], values: [0, 0, 1, 0] });
  expect(found["and"]!.values).toEqual([0, 0, 0, 0]);
  expect(found["or"]!.values).toEqual([1, 0, 1, 1]);
});

test("And, Or: operands must be bool", () => {
  const g = createBuilder();
  const [x, p] = [g.input("x", "float32", [2]), g.input("p", "bool", [2])];
  expect(() => g.and(p, x)).toThrow("And: operands of type bool expected, found float32.");
  expect(() => g.or(x, p)).toThrow("Or: operands of type bool expected, found float32.");
});
