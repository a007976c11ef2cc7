import { expect, test } from "vitest";
import { int } from "../ir/graph.js";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("ScatterElements", {
  "": (g, [x, indices, updates]) => [g.scatterAdd(x!, indices!, updates!, 1)],
});

test("ScatterElements: errors", () => {
  const g = createBuilder();
  const [x, indices] = [g.input("x", "float32", [5, 3]), g.input("i", "int32", [2, 3])];
  expect(() => g.scatterAdd(x, indices, x, 0)).toThrow(
    "ScatterElements: indices [2, 3] and updates [5, 3] must be alike, and of the rank of [5, 3].",
  );
  expect(() => g.emit("ScatterElements", [x, indices, x], { axis: int(0) })).toThrow(
    'only the reduction "add" is supported.',
  );
});
