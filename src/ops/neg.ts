import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = −x. Spec: https://onnx.ai/onnx/operators/onnx__Neg.html (opset 13). */
export const neg = defineOp({
  type: "Neg",
  infer: inferUnary,
  vjp: (g, _, [dy]) => [g.neg(dy!)],
});
