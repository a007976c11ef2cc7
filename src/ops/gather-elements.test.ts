import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("GatherElements", { "": (g, [x, indices]) => [g.gatherElements(x!, indices!, 1)] });

test("GatherElements: ranks must agree", () => {
  const g = createBuilder();
  const [x, indices] = [g.input("x", "float32", [5, 3]), g.input("i", "int32", [5])];
  expect(() => g.gatherElements(x, indices, 1)).toThrow(
    "GatherElements: indices [5] and data [5, 3] must have the same rank.",
  );
});
