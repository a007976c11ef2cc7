import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = tanh x. Spec: https://onnx.ai/onnx/operators/onnx__Tanh.html (opset 13). */
export const tanh = defineOp({
  type: "Tanh",
  infer: inferUnary,
  // dx = dy ⊙ (1 − y²) = dy − (dy ⊙ y) ⊙ y.
  vjp: (g, { outputs: [y] }, [dy]) => [g.sub(dy!, g.mul(g.mul(dy!, y!), y!))],
});
