import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("LogSoftmax", {
  "last axis": (g, [x]) => [g.logSoftmax(x!)],
  "middle axis": (g, [x]) => [g.logSoftmax(x!, 1)],
});

test("LogSoftmax: the axis must exist", () => {
  const g = createBuilder();
  expect(() => g.logSoftmax(g.input("x", "float32", [2, 3]), 2)).toThrow(
    "LogSoftmax: the axis 2 lies outside the shape [2, 3].",
  );
});
