import { expect, test } from "vitest";
import { resolveAxis, withDim } from "./axis.js";

test("an axis counts from the front, a negative one from the end", () => {
  expect(resolveAxis(1, ["batch", 3, 4], "Softmax")).toBe(1);
  expect(resolveAxis(-1, ["batch", 3, 4], "Softmax")).toBe(2);
  expect(() => resolveAxis(3, ["batch", 3, 4], "Softmax")).toThrow(
    "Softmax: the axis 3 lies outside the shape [batch, 3, 4].",
  );
  expect(() => resolveAxis(-1, [], "Softmax")).toThrow("Softmax: the axis -1 lies outside the shape [].");
});

test("one dimension is replaced", () => {
  expect(withDim(["batch", 3], 1, "tokens")).toEqual(["batch", "tokens"]);
});
