import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = cos x, x in radians. Spec: https://onnx.ai/onnx/operators/onnx__Cos.html (opset 7). */
export const cos = defineOp({
  type: "Cos",
  infer: inferUnary,
  // dx = −dy ⊙ sin x.
  vjp: (g, { inputs: [x] }, [dy]) => [g.neg(g.mul(dy!, g.sin(x!)))],
});
