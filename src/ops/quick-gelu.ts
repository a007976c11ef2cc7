import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/**
 * y = x·σ(alpha·x): CLIP's QuickGELU with alpha 1.702, SiLU with alpha 1. ONNX Runtime's contribution:
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QuickGelu
 */
export const quickGelu = defineOp({
  type: "QuickGelu",
  domain: "com.microsoft",
  infer: inferUnary,
  // With v = alpha·x:  dx = dy ⊙ σ(v) ⊙ (1 + v ⊙ (1 − σ(v))).
  vjp(g, { inputs: [x], attrs }, [dy]) {
    const one = g.scalar(1, x!.type.dtype);
    const v = g.mul(x!, g.scalar(attrs.float("alpha", 1.702), x!.type.dtype));
    const s = g.sigmoid(v);
    return [g.mul(g.mul(dy!, s), g.add(g.mul(v, g.sub(one, s)), one))];
  },
});
