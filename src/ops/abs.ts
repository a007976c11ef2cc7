import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = |x|. Spec: https://onnx.ai/onnx/operators/onnx__Abs.html (opset 13). */
export const abs = defineOp({
  type: "Abs",
  infer: inferUnary,
  // dx = sign(x) ⊙ dy, with 0 at x = 0 as PyTorch has it.
  vjp(g, { inputs: [x] }, [dy]) {
    const zero = g.scalar(0, x!.type.dtype);
    return [g.where(g.greater(x!, zero), dy!, g.where(g.greater(zero, x!), g.neg(dy!), zero))];
  },
});
