import { addDims, type Dim, formatShape, sameShape } from "../ir/dim.js";
import type { TensorType } from "../ir/graph.js";
import { resolveAxis, withDim } from "./axis.js";
import { defineOp } from "./op.js";

/** The inputs one after another along an axis. Spec: https://onnx.ai/onnx/operators/onnx__Concat.html (opset 13). */
export const concat = defineOp({
  type: "Concat",
  infer({ inputs, attrs, name }): TensorType[] {
    const { dtype, shape } = inputs[0]!.type;
    const axis = resolveAxis(attrs.int("axis"), shape, name);
    for (const { type } of inputs)
      if (type.dtype !== dtype || !sameShape(withDim(type.shape, axis, 0), withDim(shape, axis, 0)))
        throw new Error(
          `${name}: ${type.dtype}${formatShape(type.shape)} does not continue ${dtype}${formatShape(shape)} on axis ${axis}.`,
        );
    const length = inputs.map((v) => v.type.shape[axis]!).reduce(addDims);
    const contents = inputs.flatMap((v): (Dim | undefined)[] => [...(v.type.contents ?? [undefined])]);
    const known = contents.filter((d) => d !== undefined);
    return [
      { dtype, shape: withDim(shape, axis, length), ...(known.length === contents.length ? { contents: known } : {}) },
    ];
  },
  // Each input's gradient is its part of dy.
  vjp(g, { inputs, attrs, needs, name }, [dy]) {
    const shape = dy!.type.shape;
    const axis = resolveAxis(attrs.int("axis"), shape, name);
    const parts = g.split(
      dy!,
      inputs.map((v) => v.type.shape[axis]!),
      axis,
    );
    return parts.map((part, i) => (needs[i] ? part : undefined));
  },
});
