import { type Dim, divideDims, elements, formatShape, type Shape } from "../ir/dim.js";
import { defineOp } from "./op.js";

/** The same elements under another shape. Spec: https://onnx.ai/onnx/operators/onnx__Reshape.html (opset 21). */
export const reshape = defineOp({
  type: "Reshape",
  infer({ inputs: [x, target], attrs, name }) {
    const from = x!.type.shape;
    const code = target!.type.contents;
    if (!code) throw new Error(`${name}: the target shape is not known before the graph runs.`);
    // 0 copies the dimension at the same place (unless `allowzero` says that it means 0), −1 takes what is left.
    const copies = attrs.int("allowzero", 0) === 0;
    const known = code.map((d, i): Dim => (d === 0 && copies ? (from[i] ?? 0) : d));
    const rest = divideDims(elements(from), elements(known.filter((d) => d !== -1)));
    const shape: Shape = known.map((d) => (d === -1 ? (rest ?? "?") : d));
    if (shape.includes("?") || elements(shape) !== elements(from))
      throw new Error(`${name}: ${formatShape(from)} does not fill [${code.join(", ")}].`);
    return [{ dtype: x!.type.dtype, shape }];
  },
  // dx = dy under the old shape.
  vjp: (g, { inputs: [x] }, [dy]) => [g.reshape(dy!, x!.type.shape)],
});
