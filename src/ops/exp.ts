import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = eˣ. Spec: https://onnx.ai/onnx/operators/onnx__Exp.html (opset 13). */
export const exp = defineOp({
  type: "Exp",
  infer: inferUnary,
  // dx = dy ⊙ y.
  vjp: (g, { outputs: [y] }, [dy]) => [g.mul(dy!, y!)],
});
