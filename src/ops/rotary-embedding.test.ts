import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { type Call, testAgainstTorch } from "./testing.fixtures.js";

/** By angles (row + 1)(column + 1) / 4. */
const turn =
  (heads: number, turned?: number): Call =>
  (g, [x, positions]) => {
    const quarters = Array.from({ length: 12 }, (_, i) => (Math.floor(i / 2) + 1) * ((i % 2) + 1));
    const table = (f: (angle: number) => number) =>
      g.constant(
        "float32",
        [6, 2],
        quarters.map((n) => f(n / 4)),
      );
    return [g.rotate(x!, g.cast(positions!, "int64"), table(Math.cos), table(Math.sin), heads, turned)];
  };

testAgainstTorch("RotaryEmbedding", { "whole heads": turn(3), "the front of each head": turn(2, 4) });

test("RotaryEmbedding: the tables must fit the heads", () => {
  const g = createBuilder();
  const [x, positions] = [g.input("x", "float32", [2, 3, 12]), g.input("i", "int64", [2, 3])];
  const table = g.input("t", "float32", [6, 3]);
  expect(() => g.rotate(x, positions, table, table, 3)).toThrow(
    "RotaryEmbedding: [2, 3, 12] in 3 heads is not turned by a table [6, 3].",
  );
  expect(() => g.rotate(x, positions, table, table, 5)).toThrow("in 5 heads is not turned");
});
