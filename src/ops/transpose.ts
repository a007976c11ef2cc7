import { formatShape } from "../ir/dim.js";
import { defineOp } from "./op.js";

/** y = x with its axes in the order `perm`. Spec: https://onnx.ai/onnx/operators/onnx__Transpose.html (opset 21). */
export const transpose = defineOp({
  type: "Transpose",
  infer({ inputs: [x], attrs, name }) {
    const { dtype, shape } = x!.type;
    const perm = attrs.ints("perm", [...shape.keys()].reverse());
    if (perm.length !== shape.length || shape.some((_, i) => !perm.includes(i)))
      throw new Error(`${name}: [${perm.join(", ")}] is no order of the axes of ${formatShape(shape)}.`);
    return [{ dtype, shape: perm.map((axis) => shape[axis]!) }];
  },
  // dx = dy with its axes put back.
  vjp(g, { inputs: [x], attrs }, [dy]) {
    const axes = [...x!.type.shape.keys()];
    const perm = attrs.ints("perm", axes.toReversed());
    return [
      g.transpose(
        dy!,
        axes.map((axis) => perm.indexOf(axis)),
      ),
    ];
  },
});
