import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Expand", { "": (g, [x]) => [g.expand(x!, [2, 3, 4])] });

test("Expand: a shape that does not broadcast to the target is refused", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 3]);
  expect(() => g.expand(x, ["batch", 4])).toThrow("Expand: [batch, 3] does not expand to [batch, 4].");
  expect(() => g.expand(x, [3])).toThrow("[batch, 3] does not expand to [3].");
  expect(() => g.emit("Expand", [x, g.input("to", "int64", [2])])).toThrow(
    "the target shape is not known before the graph runs.",
  );
});
