import { formatShape } from "../ir/dim.js";
import { defineOp } from "./op.js";

/**
 * Rotary position embedding (Su et al., 2021, arXiv:2104.09864): in each head of x [batch, tokens, heads·d] the first
 * r elements, taken as r/2 pairs (i, i + r/2), are turned by the angle of the token's position:
 *
 *     y_i = x_i · cos_i − x_{i + r/2} · sin_i        y_{i + r/2} = x_{i + r/2} · cos_i + x_i · sin_i
 *
 * Inputs: x, positions int64 [batch, tokens] as rows of the tables, cosines and sines [rows, r/2]. Attributes: `num_heads`,
 * and `rotary_embedding_dim` = r where it is less than d. ONNX Runtime's contribution:
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RotaryEmbedding
 */
export const rotaryEmbedding = defineOp({
  type: "RotaryEmbedding",
  domain: "com.microsoft",
  infer({ inputs: [x, , cos], attrs, name }) {
    const { dtype, shape } = x!.type;
    const [heads, width, turned] = [attrs.int("num_heads"), shape[2], cos!.type.shape[1]];
    const whole = typeof width === "number" && width % heads === 0 ? width / heads : 0;
    if (shape.length !== 3 || Number(turned) * 2 !== (attrs.int("rotary_embedding_dim", 0) || whole))
      throw new Error(
        `${name}: ${formatShape(shape)} in ${heads} heads is not turned by a table ${formatShape(cos!.type.shape)}.`,
      );
    return [{ dtype, shape }];
  },
  // The transpose of a rotation is the rotation back. The tables are not trained.
  vjp: (g, { inputs: [, positions, cos, sin], attributes, needs }, [dy]) => [
    needs[0]
      ? g.emit("RotaryEmbedding", [dy, positions, cos, g.neg(sin!)], attributes, { domain: "com.microsoft" })[0]
      : undefined,
  ],
});
