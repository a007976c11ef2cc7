import type { FormRule } from "./rule.js";

/** One number for the whole tensor (the authors' code says "constant"). */
export const scalar: FormRule = {
  stored: () => [{ part: "X", shape: [1] }],

  effective(params, view, effective, target) {
    const { offset, stride, length } = target.vector!;
    const value = params[view.down]!;
    for (let i = 0; i < length; i++) effective[offset + i * stride]! += value;
  },

  pullBack(gradEffective, target, _params, view, grad) {
    const { offset, stride, length } = target.vector!;
    let sum = 0;
    for (let i = 0; i < length; i++) sum += gradEffective[offset + i * stride]!;
    grad[view.down]! += sum;
  },

  addRow(params, view, _i, row) {
    const value = params[view.down]!;
    for (let j = 0; j < row.length; j++) row[j]! += value;
  },
};
