import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Concat", { three: (g, [a, b, c]) => [g.concat([a!, b!, c!], 1)] });

test("Concat: lengths add up, symbols too", () => {
  const g = createBuilder();
  const [past, now] = [g.input("past", "float32", [2, "past"]), g.input("now", "float32", [2, "tokens"])];
  expect(g.concat([past, now], -1).type.shape).toEqual([2, "tokens + past"]);
  expect(g.concat([past], 0)).toBe(past);
});

test("Concat: inputs that differ elsewhere are refused", () => {
  const g = createBuilder();
  const [a, b] = [g.input("a", "float32", [2, 3]), g.input("b", "float32", [2, 4])];
  expect(() => g.concat([a, b], 0)).toThrow("Concat: float32[2, 4] does not continue float32[2, 3] on axis 0.");
  expect(() => g.concat([a, g.cast(b, "int32")], 1)).toThrow("int32[2, 4] does not continue float32[2, 3] on axis 1.");
});
