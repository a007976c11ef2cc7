import { formatShape, sameShape } from "../ir/dim.js";
import { resolveAxis, withDim } from "./axis.js";
import { sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/**
 * RMSNorm over the last axis (Zhang and Sennrich, 2019, arXiv:1910.07467): y = x ⊙ inv ⊙ scale with
 * inv = 1/√(mean(x²) + epsilon); outputs y and inv, the latter float32[..., 1]. ONNX Runtime has it under ONNX's own domain:
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#simplifiedlayernormalization
 */
export const simplifiedLayerNormalization = defineOp({
  type: "SimplifiedLayerNormalization",
  infer({ inputs: [x, scale], attrs, outputCount, name }) {
    const { dtype, shape } = x!.type;
    const last = shape.length - 1;
    if (resolveAxis(attrs.int("axis", -1), shape, name) !== last)
      throw new Error(`${name}: only the last axis can be normalised, found axis ${attrs.int("axis")}.`);
    if (!sameShape(scale!.type.shape, shape.slice(-1)))
      throw new Error(`${name}: a scale [${shape[last]}] expected, found ${formatShape(scale!.type.shape)}.`);
    return [
      { dtype, shape },
      { dtype: "float32" as const, shape: withDim(shape, last, 1) },
    ].slice(0, outputCount);
  },
  // With e = dy ⊙ scale and x̂ = x ⊙ inv:  dx = inv · (e − x̂ ⊙ mean(e ⊙ x̂)),  dscale = Σ dy ⊙ x̂.
  vjp(g, { inputs: [x, scale], outputs, attrs, attributes, needs, name }, [dy, dInv]) {
    if (dInv) throw new Error(`${name}: the output inv has no derivative.`);
    // A node that was written with one output is computed again for the other.
    const both =
      outputs.length === 2 ? outputs : g.emit("SimplifiedLayerNormalization", [x, scale], attributes, { outputs: 2 });
    const inv = g.cast(both[1]!, x!.type.dtype);
    const normal = g.mul(x!, inv);
    const dx = () => {
      const e = g.mul(dy!, scale!);
      const projection = g.mul(normal, g.reduceMean(g.mul(e, normal), [attrs.int("axis", -1)], true));
      return g.mul(g.sub(e, projection), inv);
    };
    return [needs[0] ? dx() : undefined, needs[1] ? sumTo(g, g.mul(dy!, normal), scale!.type.shape) : undefined];
  },
});
