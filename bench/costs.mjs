// What a node must at least do: multiplications and additions, and bytes that it reads and writes, from the shapes that it ran on.

/**
 * @import { Attributes } from "../dist/ir/graph.js"
 * @typedef {{ type: string, shape: number[] }} Operand
 * @typedef {{ flop: number, bytes: number }} Cost
 */

/** @type {Record<string, number>} */
const BYTES = { float: 4, int32: 4, int64: 8, double: 8, float16: 2, bfloat16: 2, bool: 1, uint8: 1, int8: 1 };

/** Only another shape for the same numbers, or the shape itself. */
const FREE = new Set(["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape"]);
/** Reads as many numbers as it writes, whatever the size of what it takes them from. */
const PICKS = new Set(["Gather", "GatherElements", "GatherND", "Slice"]);
const MOVES = new Set([
  "Transpose",
  "Concat",
  "Split",
  "Expand",
  "Pad",
  "Cast",
  "ScatterElements",
  "ScatterND",
  "Tile",
]);
/** Operations for each number of the largest operand, where it is not one; a function such as exp counts as one. */
/** @type {Record<string, number>} */
const PER_NUMBER = {
  Softmax: 4,
  LogSoftmax: 4,
  LayerNormalization: 7,
  SimplifiedLayerNormalization: 5,
  Gelu: 4,
  QuickGelu: 4,
};

/** @param {readonly number[]} shape */
const size = (shape) => shape.reduce((a, b) => a * b, 1);
/** @param {Operand} operand */
const bytesOf = ({ type, shape }) => (BYTES[type] ?? 4) * size(shape);
/** @param {readonly Operand[]} operands */
const sum = (operands) => operands.reduce((total, operand) => total + bytesOf(operand), 0);

/**
 * Every operand is read once and every result written once: what caches spare or misses add is not in it.
 * @param {string} op @param {Attributes} attributes @param {Operand[]} inputs @param {Operand[]} outputs @returns {Cost}
 */
export function costOf(op, attributes, inputs, outputs) {
  const [y] = outputs;
  if (FREE.has(op) || !y) return { flop: 0, bytes: 0 };
  const flop = flopOf(op, attributes, inputs, y);
  return { flop, bytes: PICKS.has(op) ? 2 * sum(outputs) : sum(inputs) + sum(outputs) };
}

/** @param {string} op @param {Attributes} attributes @param {Operand[]} inputs @param {Operand} y */
function flopOf(op, attributes, inputs, y) {
  const [x, w] = inputs;
  if (!x || PICKS.has(op) || MOVES.has(op)) return 0;
  const is = (/** @type {string} */ name) => attributes[name]?.type === "int" && attributes[name].value === 1;
  if (["Gemm", "MatMul", "FusedMatMul"].includes(op))
    return 2 * size(y.shape) * (x.shape.at(is("transA") ? -2 : -1) ?? 1);
  if (op === "Conv" && w) return 2 * size(y.shape) * size(w.shape.slice(1));
  return (PER_NUMBER[op] ?? 1) * Math.max(...[...inputs, y].map(({ shape }) => size(shape)));
}
