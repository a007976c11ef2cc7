import { resolveAxis } from "./axis.js";
import { defineOp, type InferContext } from "./op.js";
import { inferUnary } from "./unary.js";

/** Shape rule of Softmax and LogSoftmax. */
export function inferAlongAxis(context: InferContext) {
  resolveAxis(context.attrs.int("axis", -1), context.inputs[0]!.type.shape, context.name);
  return inferUnary(context);
}

/** y = eˣ / Σ_axis eˣ. Spec: https://onnx.ai/onnx/operators/onnx__Softmax.html (opset 13). */
export const softmax = defineOp({
  type: "Softmax",
  infer: inferAlongAxis,
  // dx = y ⊙ dy − y · Σ_axis y ⊙ dy.  Needs y only, so x can be freed after the forward pass.
  vjp(g, { outputs: [y], attrs }, [dy]) {
    const weighted = g.mul(dy!, y!);
    return [g.sub(weighted, g.mul(y!, g.reduceSum(weighted, [attrs.int("axis", -1)], true)))];
  },
});
