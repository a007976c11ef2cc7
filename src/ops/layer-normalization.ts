import { formatShape, sameShape } from "../ir/dim.js";
import { resolveAxis, withDim } from "./axis.js";
import { sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/**
 * Layer normalisation over the last axis (Ba et al., 2016): y = x̂ ⊙ scale + bias with x̂ = (x − mean) · inv and
 * inv = 1/√(variance + epsilon); outputs y, mean and inv, the last two float32[..., 1]. The bias may be absent.
 * Spec: https://onnx.ai/onnx/operators/onnx__LayerNormalization.html (opset 17).
 */
export const layerNormalization = defineOp({
  type: "LayerNormalization",
  infer({ inputs: [x, scale, bias], attrs, outputCount, name }) {
    const { dtype, shape } = x!.type;
    const last = shape.length - 1;
    if (resolveAxis(attrs.int("axis", -1), shape, name) !== last)
      throw new Error(`${name}: only the last axis can be normalised, found axis ${attrs.int("axis")}.`);
    for (const parameter of [scale!, bias])
      if (parameter && !sameShape(parameter.type.shape, shape.slice(-1)))
        throw new Error(
          `${name}: scale and bias [${shape[last]}] expected, found ${formatShape(parameter.type.shape)}.`,
        );
    const statistic = { dtype: "float32" as const, shape: withDim(shape, last, 1) };
    return [{ dtype, shape }, statistic, statistic].slice(0, outputCount);
  },
  // With e = dy ⊙ scale:  dx = inv · (e − mean(e) − x̂ ⊙ mean(e ⊙ x̂)),  dscale = Σ dy ⊙ x̂,  dbias = Σ dy.
  vjp(g, { inputs: [x, scale, bias], outputs, attrs, attributes, needs, name }, [dy, dMean, dInv]) {
    if (dMean || dInv) throw new Error(`${name}: the outputs Mean and InvStdDev have no derivative.`);
    const scaleShape = scale!.type.shape;
    const dBias = bias && needs[2] ? sumTo(g, dy!, scaleShape) : undefined;
    if (!needs[0] && !needs[1]) return [undefined, undefined, dBias];
    // A node that was written with one output is computed again for the two that are missing.
    const [, mean, inv] = (
      outputs.length === 3 ? outputs : g.emit("LayerNormalization", [x!, scale!, bias], attributes, { outputs: 3 })
    ).map((v) => g.cast(v, x!.type.dtype));
    const normal = g.mul(g.sub(x!, mean!), inv!);
    const dx = () => {
      const e = g.mul(dy!, scale!);
      const axes = [attrs.int("axis", -1)];
      const projection = g.mul(normal, g.reduceMean(g.mul(e, normal), axes, true));
      return g.mul(g.sub(g.sub(e, g.reduceMean(e, axes, true)), projection), inv!);
    };
    return [needs[0] ? dx() : undefined, needs[1] ? sumTo(g, g.mul(dy!, normal), scaleShape) : undefined, dBias];
  },
});
