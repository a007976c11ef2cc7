import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** ln(2/√π) */
const logTwoOverSqrtPi = Math.log(2 / Math.sqrt(Math.PI));

/** y = erf x. Spec: https://onnx.ai/onnx/operators/onnx__Erf.html (opset 13). */
export const erf = defineOp({
  type: "Erf",
  infer: inferUnary,
  // dx = dy ⊙ 2/√π · exp(−x²); the factor goes into the exponent, which saves a pass.
  vjp(g, { inputs: [x] }, [dy]) {
    const exponent = g.sub(g.scalar(logTwoOverSqrtPi, x!.type.dtype), g.mul(x!, x!));
    return [g.mul(dy!, g.exp(exponent))];
  },
});
