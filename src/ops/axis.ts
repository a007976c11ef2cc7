import { formatShape, type Shape } from "../ir/dim.js";

/** An axis counted from the front; a negative one counts from the end. */
export function resolveAxis(axis: number, shape: Shape, place: string): number {
  const resolved = axis < 0 ? axis + shape.length : axis;
  if (resolved < 0 || resolved >= shape.length)
    throw new Error(`${place}: the axis ${axis} lies outside the shape ${formatShape(shape)}.`);
  return resolved;
}

/** The shape with one dimension replaced. */
export const withDim = (shape: Shape, axis: number, dim: Shape[number]): Shape =>
  shape.map((d, i) => (i === axis ? dim : d));
