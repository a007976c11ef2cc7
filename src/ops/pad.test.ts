import { expect, test } from "vitest";
import { string } from "../ir/graph.js";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Pad", { "": (g, [x]) => [g.pad(x!, [0, 2], [3, 1])] });

test("Pad: errors", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 6]);
  expect(() => g.pad(x, [0, -1], [0, 0])).toThrow("Pad: 4 lengths of 0 or more expected, found [0, -1, 0, 0].");
  expect(() => g.pad(x, [0], [0])).toThrow("4 lengths of 0 or more expected, found [0, 0].");
  const pads = g.constant("int64", [4], [0, 0, 0, 0]);
  expect(() => g.emit("Pad", [x, pads], { mode: string("edge") })).toThrow("only padding with zeros is supported.");
  expect(() => g.emit("Pad", [x, g.input("p", "int64", [4])])).toThrow(
    "the padding is not known before the graph runs.",
  );
});
