import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("WithGradient", {
  "a square": (g, [x]) => [g.withGradient(g.reduceSum(g.mul(x!, x!), [0, 1]), x!, g.add(x!, x!))],
});

test("WithGradient: a value that is no scalar, and a gradient of another shape, are named", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [2, 3]);
  expect(() => g.withGradient(x, x, x)).toThrow("WithGradient: a scalar expected, found [2, 3].");
  expect(() => g.withGradient(g.scalar(1), x, g.scalar(1))).toThrow("a gradient of shape [2, 3] expected, found [].");
});
