import { supportShape } from "../structure.js";
import type { FormRule } from "./rule.js";

/** One number a row, the same in all its columns. */
export const vector: FormRule = {
  stored(support, layer, a) {
    const [rows] = supportShape(support, layer, a);
    return [{ part: "X", shape: support === "D" || support === "E" ? [rows] : [rows, 1] }];
  },

  effective(params, view, effective, target) {
    const { offset, stride, length } = target.vector!;
    for (let i = 0; i < length; i++) effective[offset + i * stride]! += params[view.down + i * view.stride]!;
  },

  pullBack(gradEffective, target, _params, view, grad) {
    const { offset, stride, length } = target.vector!;
    for (let i = 0; i < length; i++) grad[view.down + i * view.stride]! += gradEffective[offset + i * stride]!;
  },

  addRow(params, view, i, row) {
    const value = params[view.down + i * view.stride]!;
    for (let j = 0; j < row.length; j++) row[j]! += value;
  },
};
