import { formatShape } from "../ir/dim.js";
import { sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/** Broadcasts to a shape. Spec: https://onnx.ai/onnx/operators/onnx__Expand.html (opset 13). */
export const expand = defineOp({
  type: "Expand",
  infer({ inputs: [x, target], name }) {
    const shape = target!.type.contents;
    if (!shape) throw new Error(`${name}: the target shape is not known before the graph runs.`);
    const from = x!.type.shape;
    const lead = shape.length - from.length;
    // A dimension that only the run knows (from an If) is 1 or the target's.
    const fits = from.every((d, i) => d === 1 || d === shape[lead + i] || String(d).includes("?"));
    if (lead < 0 || !fits) throw new Error(`${name}: ${formatShape(from)} does not expand to ${formatShape(shape)}.`);
    return [{ dtype: x!.type.dtype, shape }];
  },
  // dx = dy, summed over the axes along which x was repeated.
  vjp: (g, { inputs: [x] }, [dy]) => [sumTo(g, dy!, x!.type.shape)],
});
