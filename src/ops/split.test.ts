import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { expectGradient, testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Split", { three: (g, [x]) => g.split(x!, [1, 2, 3], 1) });

test("Split: a part that is not used gets a gradient of zeros", () =>
  expectGradient((g, [x]) => [g.split(x!, [1, 2, 1], 0)[1]!], [{ shape: [4, 2] }]));

test("Split: lengths that do not add up are refused", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 6]);
  expect(() => g.split(x, [1, 2], 1)).toThrow("Split: the lengths [1, 2] do not divide axis 1 of [batch, 6] in 2.");
  expect(() => g.emit("Split", [x], {}, { outputs: 2 })).toThrow("the lengths of the parts must be given.");
});
