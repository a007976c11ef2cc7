import { type Dim, formatShape } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { resolveAxis } from "./axis.js";
import { defineOp } from "./op.js";

interface Range {
  readonly start: number;
  readonly end: number;
  readonly dim: number;
}

/** For each axis that is cut, what is kept of it. */
function ranges([x, ...bounds]: readonly Value[], place: string): ReadonlyMap<number, Range> {
  const { shape } = x!.type;
  const [starts, ends, axes, steps] = bounds.map((v): readonly Dim[] => {
    if (!v.type.contents) throw new Error(`${place}: the bounds are not known before the graph runs.`);
    return v.type.contents;
  });
  if (steps?.some((step) => step !== 1)) throw new Error(`${place}: steps of 1 expected, found [${steps.join(", ")}].`);
  const entries = starts!.map((start, i): [number, Range] => {
    const axis = resolveAxis(Number(axes ? axes[i] : i), shape, place);
    const dim = shape[axis]!;
    if (typeof dim !== "number")
      throw new Error(`${place}: axis ${axis} of ${formatShape(shape)} has no fixed length to cut.`);
    const clamp = (bound: number): number => Math.min(Math.max(bound < 0 ? bound + dim : bound, 0), dim);
    const from = clamp(Number(start));
    return [axis, { start: from, end: Math.max(from, clamp(Number(ends![i]))), dim }];
  });
  return new Map(entries);
}

/** x[start : end] along some axes of fixed length. Spec: https://onnx.ai/onnx/operators/onnx__Slice.html (opset 13). */
export const slice = defineOp({
  type: "Slice",
  infer({ inputs, name }) {
    const { dtype, shape } = inputs[0]!.type;
    const cut = ranges(inputs, name);
    const kept = (i: number): number | undefined => {
      const range = cut.get(i);
      return range && range.end - range.start;
    };
    return [{ dtype, shape: shape.map((d, i) => kept(i) ?? d) }];
  },
  // dx = dy with zeros around it.
  vjp(g, { inputs, name }, [dy]) {
    const cut = ranges(inputs, name);
    const axes = [...inputs[0]!.type.shape.keys()];
    const before = axes.map((i) => cut.get(i)?.start ?? 0);
    const after = axes.map((i) => {
      const range = cut.get(i);
      return range ? range.dim - range.end : 0;
    });
    return [g.pad(dy!, before, after)];
  },
});
