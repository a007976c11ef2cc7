import { formatShape } from "../ir/dim.js";
import { resolveAxis } from "./axis.js";
import { defineOp } from "./op.js";

/**
 * y[i, j, …] = x at the same place, but on one axis at indices[i, j, …].
 * Spec: https://onnx.ai/onnx/operators/onnx__GatherElements.html (opset 13).
 */
export const gatherElements = defineOp({
  type: "GatherElements",
  infer({ inputs: [x, indices], attrs, name }) {
    const [from, to] = [x!.type.shape, indices!.type.shape];
    resolveAxis(attrs.int("axis", 0), from, name);
    if (from.length !== to.length)
      throw new Error(`${name}: indices ${formatShape(to)} and data ${formatShape(from)} must have the same rank.`);
    return [{ dtype: x!.type.dtype, shape: to }];
  },
  vjp: (g, { inputs: [x, indices], attrs }, [dy]) => [
    g.scatterAdd(g.zeros(x!.type.shape, x!.type.dtype), indices!, dy!, attrs.int("axis", 0)),
  ],
});
