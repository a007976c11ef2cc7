import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = sin x, x in radians. Spec: https://onnx.ai/onnx/operators/onnx__Sin.html (opset 7). */
export const sin = defineOp({
  type: "Sin",
  infer: inferUnary,
  // dx = dy ⊙ cos x.
  vjp: (g, { inputs: [x] }, [dy]) => [g.mul(dy!, g.cos(x!))],
});
