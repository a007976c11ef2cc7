import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { evaluate } from "./testing.fixtures.js";

test("Equal: true where both are the same", async () => {
  const g = createBuilder();
  const [y] = g.emit("Equal", [g.input("a", "int32", [2, 1]), g.input("b", "int32", [3])]);
  g.output("y", y!);
  const found = await evaluate(g.graph, {
    a: { dtype: "int32", shape: [2, 1], values: [1, 2] },
    b: { dtype: "int32", shape: [3], values: [2, 1, 2] },
  });
  expect(found["y"]).toEqual({ dtype: "bool", shape: [2, 3], values: [0, 1, 0, 1, 0, 1] });
});
