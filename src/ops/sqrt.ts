import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = √x. Spec: https://onnx.ai/onnx/operators/onnx__Sqrt.html (opset 13). */
export const sqrt = defineOp({
  type: "Sqrt",
  infer: inferUnary,
  // dx = dy / 2y.
  vjp: (g, { outputs: [y] }, [dy]) => [g.div(g.mul(dy!, g.scalar(0.5, dy!.type.dtype)), y!)],
});
