import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = max(x, 0). Spec: https://onnx.ai/onnx/operators/onnx__Relu.html (opset 14). */
export const relu = defineOp({
  type: "Relu",
  infer: inferUnary,
  // dx = dy where y > 0, else 0 (at x = 0 as PyTorch has it).  Needs y only.
  vjp(g, { outputs: [y] }, [dy]) {
    const zero = g.scalar(0, y!.type.dtype);
    return [g.where(g.greater(y!, zero), dy!, zero)];
  },
});
