import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { expectGradient, testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Slice", { middle: (g, [x]) => [g.slice(x!, 1, 1, -1)] });

test("Slice: several axes at once; bounds outside are clamped as ONNX does", () =>
  expectGradient(
    (g, [x]) => {
      const list = (...values: number[]) => g.constant("int64", [values.length], values);
      return [
        ...g.emit("Slice", [x, list(1, -9), list(99, 2)]),
        ...g.emit("Slice", [x, list(2), list(1), list(-1), list(1)]), // nothing is left
      ];
    },
    [{ shape: [3, 4] }],
  ));

test("Slice: errors", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 6]);
  const one = g.constant("int64", [1], [1]);
  expect(() => g.slice(x, 0, 0, 1)).toThrow("Slice: axis 0 of [batch, 6] has no fixed length to cut.");
  expect(() => g.emit("Slice", [x, one, one, one, g.constant("int64", [1], [2])])).toThrow(
    "steps of 1 expected, found [2].",
  );
  expect(() => g.emit("Slice", [x, g.input("start", "int64", [1]), one, one])).toThrow(
    "the bounds are not known before the graph runs.",
  );
});
