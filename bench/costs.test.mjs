import { expect, it } from "vitest";
import { costOf } from "./costs.mjs";

/** @param {number[]} shape @param {string} type */
const of = (shape, type = "float") => ({ type, shape });
const transB = { transB: /** @type {const} */ ({ type: "int", value: 1 }) };

// Totals of torch.utils.flop_counter.FlopCounterMode (PyTorch 2.15) for the same operation.
it.each([
  [
    "a product of a batch with a matrix",
    "MatMul",
    {},
    [of([8, 197, 768]), of([768, 3072])],
    of([8, 197, 3072]),
    7_436_500_992,
  ],
  [
    "a product with a transposed matrix",
    "Gemm",
    transB,
    [of([1576, 768]), of([3072, 768])],
    of([1576, 3072]),
    7_436_500_992,
  ],
  [
    "products of attention",
    "MatMul",
    {},
    [of([8, 12, 197, 64]), of([8, 12, 64, 197])],
    of([8, 12, 197, 197]),
    476_884_992,
  ],
  ["a ViT's patches", "Conv", {}, [of([8, 3, 224, 224]), of([768, 3, 16, 16])], of([8, 768, 14, 14]), 1_849_688_064],
  ["a grouped convolution", "Conv", {}, [of([2, 8, 10, 10]), of([16, 4, 3, 3])], of([2, 16, 8, 8]), 147_456],
])("counts the FLOP of %s as PyTorch does", (_, op, attributes, inputs, output, flop) => {
  expect(costOf(op, attributes, inputs, [output]).flop).toBe(flop);
});

it("counts every operand once, and what is picked instead of what it is picked from", () => {
  expect(costOf("Mul", {}, [of([4, 8]), of([8])], [of([4, 8])])).toEqual({ flop: 32, bytes: 4 * (32 + 8 + 32) });
  expect(costOf("Cast", {}, [of([4, 8])], [of([4, 8], "bfloat16")])).toEqual({ flop: 0, bytes: 4 * 32 + 2 * 32 });
  expect(costOf("Gather", {}, [of([49_152, 576]), of([1, 7], "int64")], [of([1, 7, 576])])).toEqual({
    flop: 0,
    bytes: 2 * 4 * 7 * 576,
  });
});

it("counts nothing for another shape of the same numbers", () => {
  expect(costOf("Reshape", {}, [of([4, 8]), of([1], "int64")], [of([32])])).toEqual({ flop: 0, bytes: 0 });
});
