/** What ReduceSum, ReduceMean and ReduceMax share: axes are the second input; none given means all. */
import type { Builder } from "../ir/builder.js";
import type { Dim, Shape } from "../ir/dim.js";
import type { TensorType, Value } from "../ir/graph.js";
import { resolveAxis } from "./axis.js";
import type { InferContext, VjpContext } from "./op.js";

/** The axes that are reduced, counted from the front. */
export function reducedAxes([x, axes]: readonly Value[], place: string): ReadonlySet<number> {
  const { shape } = x!.type;
  const listed: readonly Dim[] | undefined = axes ? axes.type.contents : [];
  if (!listed) throw new Error(`${place}: the axes are not known before the graph runs.`);
  return new Set(listed.length === 0 ? shape.keys() : listed.map((axis) => resolveAxis(Number(axis), shape, place)));
}

export function inferReduce({ inputs, attrs, name }: InferContext): TensorType[] {
  const { dtype, shape } = inputs[0]!.type;
  const axes = reducedAxes(inputs, name);
  const reduced = (keep: boolean): Shape => shape.flatMap((d, i) => (axes.has(i) ? (keep ? [1] : []) : [d]));
  return [{ dtype, shape: reduced(attrs.int("keepdims", 1) === 1) }];
}

/** The dimensions that are reduced: their product is the number of elements behind one result. */
export function reducedDims({ inputs, name }: VjpContext): Shape {
  const axes = reducedAxes(inputs, name);
  return inputs[0]!.type.shape.filter((_, i) => axes.has(i));
}

/** What was reduced, or its gradient, with axes of one where the others were. */
export function keptAxes(g: Builder, { inputs, name }: VjpContext, y: Value): Value {
  const axes = reducedAxes(inputs, name);
  return g.reshape(
    y,
    inputs[0]!.type.shape.map((d, i) => (axes.has(i) ? 1 : d)),
  );
}

/** Repeats the gradient of a sum over everything that was summed. */
export const repeatOver = (g: Builder, node: VjpContext, dy: Value): Value =>
  g.expand(keptAxes(g, node, dy), node.inputs[0]!.type.shape);
