import { defineOp, noGradient } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = |x|. Spec: https://onnx.ai/onnx/operators/onnx__Abs.html (opset 13). */
export const abs = defineOp({
  type: "Abs",
  infer: inferUnary,
  vjp: noGradient("it measures differences, nothing is trained through it"),
});
