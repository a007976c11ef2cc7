import { formatShape, sameShape } from "../ir/dim.js";
import { resolveAxis } from "./axis.js";
import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/**
 * A copy of x to which updates[i, j, …] is added at the same place, but on one axis at indices[i, j, …].
 * Spec: https://onnx.ai/onnx/operators/onnx__ScatterElements.html (opset 18), with reduction "add" alone.
 */
export const scatterElements = defineOp({
  type: "ScatterElements",
  infer(context) {
    const { inputs, attrs, name } = context;
    const [x, indices, updates] = inputs.map((v) => v.type.shape);
    resolveAxis(attrs.int("axis", 0), x!, name);
    if (attrs.string("reduction", "none") !== "add") throw new Error(`${name}: only the reduction "add" is supported.`);
    if (x!.length !== indices!.length || !sameShape(indices!, updates!))
      throw new Error(
        `${name}: indices ${formatShape(indices!)} and updates ${formatShape(updates!)} must be alike, and of the rank of ${formatShape(x!)}.`,
      );
    return inferUnary(context);
  },
  // dx = dy, and the updates' gradient is dy at their places.
  vjp: (g, { inputs: [, indices], attrs, needs }, [dy]) => [
    dy,
    undefined,
    needs[2] ? g.gatherElements(dy!, indices!, attrs.int("axis", 0)) : undefined,
  ],
});
