import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { evaluate, testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Cast", { "there and back": (g, [x]) => [g.cast(g.cast(x!, "float64"), "float32")] });

test("Cast: a float becomes an integer by truncation, a bool becomes 0 or 1", async () => {
  const g = createBuilder();
  g.output("int", g.cast(g.input("x", "float32", [3]), "int32"));
  g.output("float", g.cast(g.input("b", "bool", [2]), "float32"));
  const { int, float } = await evaluate(g.graph, {
    x: { dtype: "float32", shape: [3], values: [1.75, -1.75, 0.25] },
    b: { dtype: "bool", shape: [2], values: [1, 0] },
  });
  expect(int).toEqual({ dtype: "int32", shape: [3], values: [1, -1, 0] });
  expect(float).toEqual({ dtype: "float32", shape: [2], values: [1, 0] });
});

test("Cast: the builder writes none where the type is already the one asked for", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [3]);
  expect(g.cast(x, "float32")).toBe(x);
});

test("Cast: an unknown type is refused", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [3]);
  expect(() => g.cast(x, "float8" as "float32")).toThrow('Cast: "float8" is no element type.');
});
