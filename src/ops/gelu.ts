import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/**
 * Gaussian error linear unit (Hendrycks & Gimpel, 2016): y = x·Φ(x), or with `approximate = "tanh"` Φ(x) replaced by
 * ½(1 + tanh(√(2/π)(x + 0.044715 x³))). Spec: https://onnx.ai/onnx/operators/onnx__Gelu.html (opset 20).
 */
export const gelu = defineOp({
  type: "Gelu",
  infer: inferUnary,
  vjp: (g, { inputs: [x], attrs }, [dy]) => [
    attrs.string("approximate", "none") === "tanh" ? tanhGradient(g, x!, dy!) : erfGradient(g, x!, dy!),
  ],
});

/**
 * y' = Φ(x) + x·φ(x) = ½ + ½ erf s + s · exp(−s²)/√π with s = x/√2.
 * The factor 1/√π goes into the exponent: each pass over a large x costs about what erf does.
 */
function erfGradient(g: Builder, x: Value, dy: Value): Value {
  const constant = (value: number): Value => g.scalar(value, x.type.dtype);
  const s = g.mul(x, constant(Math.SQRT1_2));
  const half = g.add(g.mul(g.erf(s), constant(0.5)), constant(0.5));
  const density = g.exp(g.sub(constant(-Math.log(Math.PI) / 2), g.mul(s, s)));
  return g.mul(dy, g.add(g.mul(s, density), half));
}

/**
 * ½(1 + tanh u) = σ(2u), so that with v = 2u = 2√(2/π)(x + 0.044715 x³)
 *     y = x·σ(v)  ⇒  y' = σ(v) (1 + x·v' (1 − σ(v))).
 */
function tanhGradient(g: Builder, x: Value, dy: Value): Value {
  const constant = (value: number): Value => g.scalar(value, x.type.dtype);
  const slope = constant(2 * Math.sqrt(2 / Math.PI));
  const cubic = g.mul(g.mul(x, x), constant(2 * Math.sqrt(2 / Math.PI) * 0.044715));
  const s = g.sigmoid(g.mul(x, g.add(slope, cubic)));
  const xdv = g.mul(x, g.add(slope, g.mul(cubic, constant(3))));
  return g.mul(g.mul(dy, s), g.add(g.mul(xdv, g.sub(constant(1), s)), constant(1)));
}
