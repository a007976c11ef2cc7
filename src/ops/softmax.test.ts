import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Softmax", {
  "last axis": (g, [x]) => [g.softmax(x!)],
  "middle axis": (g, [x]) => [g.softmax(x!, 1)],
});

test("Softmax: the axis must exist", () => {
  const g = createBuilder();
  expect(() => g.softmax(g.input("x", "float32", [2, 3]), 2)).toThrow(
    "Softmax: the axis 2 lies outside the shape [2, 3].",
  );
});
