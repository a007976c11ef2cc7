import { elements } from "../ir/dim.js";
import { resolveAxis } from "./axis.js";
import { defineOp } from "./op.js";

/** Entries of x along an axis, picked by indices. Spec: https://onnx.ai/onnx/operators/onnx__Gather.html (opset 13). */
export const gather = defineOp({
  type: "Gather",
  infer({ inputs: [x, indices], attrs, name }) {
    const { dtype, shape } = x!.type;
    const axis = resolveAxis(attrs.int("axis", 0), shape, name);
    if (indices!.type.dtype !== "int32" && indices!.type.dtype !== "int64")
      throw new Error(`${name}: indices of type int32 or int64 expected, found ${indices!.type.dtype}.`);
    return [{ dtype, shape: [...shape.slice(0, axis), ...indices!.type.shape, ...shape.slice(axis + 1)] }];
  },
  // dx = zeros to which every picked entry's gradient is added; an entry picked twice gets both.
  vjp(g, { inputs: [x, indices], attrs, name }, [dy]) {
    const { dtype, shape } = x!.type;
    const axis = resolveAxis(attrs.int("axis", 0), shape, name);
    const count = elements(indices!.type.shape);
    const parts = [...shape.slice(0, axis), count, ...shape.slice(axis + 1)];
    const column = g.reshape(
      indices!,
      shape.map((_, i) => (i === axis ? count : 1)),
    );
    return [g.scatterAdd(g.zeros(shape, dtype), g.expand(column, parts), g.reshape(dy!, parts), axis)];
  },
});
