import { supportShape } from "../structure.js";
import type { FormRule, StoredView, Target } from "./rule.js";

/** Low rank: X = Xd·Xu with Xd [rows, r] and Xu [r, columns]. C, which has one column, becomes a vector at once. */
export const lora = (rank: number): FormRule => ({
  stored(support, layer, a) {
    const [rows, columns] = supportShape(support, layer, a);
    return [
      { part: "Xd", shape: [rows, rank] },
      { part: "Xu", shape: [rank, columns] },
    ];
  },

  effective(params, view, effective, { factors, vector }) {
    if (factors) {
      const { down, up, stride, rows, columns } = factors;
      for (let i = 0; i < rows; i++) {
        const from = view.down + i * view.stride;
        const to = down + i * stride;
        for (let k = 0; k < rank; k++) effective[to + k] = params[from + k]!;
      }
      effective.set(params.subarray(view.up, view.up + rank * columns), up);
      return;
    }
    const { offset, stride, length } = vector!;
    for (let i = 0; i < length; i++) effective[offset + i * stride]! += dotRow(params, view, i, rank);
  },

  // X = Xd·Xu in the graph ⇒ the factors' gradients pass through; c = Xd·Xu here ⇒ dXd = dc·Xuᵀ, dXu = Xdᵀ·dc.
  pullBack(gradEffective, { factors, vector }: Target, params, view, grad) {
    if (factors) {
      const { down, up, stride, rows, columns } = factors;
      for (let i = 0; i < rows; i++) {
        const from = down + i * stride;
        const to = view.down + i * view.stride;
        for (let k = 0; k < rank; k++) grad[to + k]! += gradEffective[from + k]!;
      }
      for (let j = 0; j < rank * columns; j++) grad[view.up + j]! += gradEffective[up + j]!;
      return;
    }
    const { offset, stride, length } = vector!;
    for (let k = 0; k < rank; k++) {
      const up = params[view.up + k]!;
      let sum = 0;
      for (let i = 0; i < length; i++) {
        const g = gradEffective[offset + i * stride]!;
        const at = view.down + i * view.stride + k;
        grad[at]! += g * up;
        sum += g * params[at]!;
      }
      grad[view.up + k]! += sum;
    }
  },

  addRow(params, view, i, row) {
    const { length } = row;
    for (let k = 0; k < rank; k++) {
      const down = params[view.down + i * view.stride + k]!;
      const from = view.up + k * length;
      for (let j = 0; j < length; j++) row[j]! += down * params[from + j]!;
    }
  },
});

/** Row i of Xd·Xu for an Xu of one column. */
function dotRow(params: Float32Array, view: StoredView, i: number, rank: number): number {
  let sum = 0;
  for (let k = 0; k < rank; k++) sum += params[view.down + i * view.stride + k]! * params[view.up + k]!;
  return sum;
}
