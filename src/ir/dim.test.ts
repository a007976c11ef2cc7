import { expect, test } from "vitest";
import { addDims, divideDims, elements, evaluateDim, multiplyDims, symbolsOf } from "./dim.js";

test("equal polynomials are equal strings", () => {
  expect(multiplyDims("tokens", multiplyDims(12, "batch"))).toBe(multiplyDims(multiplyDims("batch", "tokens"), 12));
  expect(addDims("past", "tokens")).toBe(addDims("tokens", "past"));
  expect(multiplyDims(addDims("tokens", 1), "batch")).toBe(addDims(multiplyDims("batch", "tokens"), "batch"));
  expect(elements([2, "batch", 3])).toBe("6*batch");
  expect(elements(["batch", 0])).toBe(0);
});

test("division is exact or refused", () => {
  expect(divideDims("6*batch*tokens", multiplyDims("batch", 3))).toBe("2*tokens");
  expect(divideDims("batch", "batch")).toBe(1);
  expect(divideDims("6*batch", 4)).toBeUndefined();
  expect(divideDims("batch", "tokens")).toBeUndefined();
  expect(divideDims("batch", 0)).toBeUndefined();
  expect(divideDims("batch", addDims("batch", 1))).toBeUndefined();
});

test("evaluation and symbols", () => {
  const dim = addDims(multiplyDims("batch", 3), addDims("tokens", 2));
  expect(symbolsOf(dim).sort()).toEqual(["batch", "tokens"]);
  expect(evaluateDim(dim, { batch: 2, tokens: 5 })).toBe(13);
  expect(() => evaluateDim("rows", {})).toThrow('No value for the dimension "rows"');
});
