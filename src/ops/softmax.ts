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
  // dx = y ⊙ (dy − Σ_axis y ⊙ dy).  Needs y only, so x can be freed after the forward pass.
  vjp(g, { outputs: [y], attrs }, [dy]) {
    const inner = g.reduceSum(g.mul(y!, dy!), [attrs.int("axis", -1)], true);
    return [g.mul(y!, g.sub(dy!, inner))];
  },
});
