import { addDims, type Dim, formatShape } from "../ir/dim.js";
import { resolveAxis, withDim } from "./axis.js";
import { defineOp } from "./op.js";

/** Parts of given lengths along an axis. Spec: https://onnx.ai/onnx/operators/onnx__Split.html (opset 18). */
export const split = defineOp({
  type: "Split",
  infer({ inputs: [x, lengths], attrs, outputCount, name }) {
    const { dtype, shape } = x!.type;
    const axis = resolveAxis(attrs.int("axis", 0), shape, name);
    const parts = lengths?.type.contents;
    if (!parts) throw new Error(`${name}: the lengths of the parts must be given.`);
    if (parts.length !== outputCount || parts.reduce<Dim>(addDims, 0) !== shape[axis])
      throw new Error(
        `${name}: the lengths [${parts.join(", ")}] do not divide axis ${axis} of ${formatShape(shape)} in ${outputCount}.`,
      );
    return parts.map((length) => ({ dtype, shape: withDim(shape, axis, length) }));
  },
  // dx = the gradients of the parts, one after another; zeros for a part that does not matter.
  vjp: (g, { outputs, attrs }, grads) => [
    g.concat(
      outputs.map(({ type }, i) => grads[i] ?? g.zeros(type.shape, type.dtype)),
      attrs.int("axis", 0),
    ),
  ],
});
