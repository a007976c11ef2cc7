import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Gather", {
  "rows, some twice": (g, [x, indices]) => [g.gather(x!, indices!, 0)],
  "a column": (g, [x, index]) => [g.gather(x!, index!, 1)],
});

test("Gather: indices must be integers", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [5, 3]);
  expect(() => g.gather(x, x, 0)).toThrow("Gather: indices of type int32 or int64 expected, found float32.");
});
