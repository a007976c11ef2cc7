import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = 1 / (1 + e⁻ˣ). Spec: https://onnx.ai/onnx/operators/onnx__Sigmoid.html (opset 13). */
export const sigmoid = defineOp({
  type: "Sigmoid",
  infer: inferUnary,
  // dx = dy ⊙ y ⊙ (1 − y) = t − t ⊙ y with t = dy ⊙ y.
  vjp(g, { outputs: [y] }, [dy]) {
    const t = g.mul(dy!, y!);
    return [g.sub(t, g.mul(t, y!))];
  },
});
