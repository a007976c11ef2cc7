/**
 * Computes every linear layer as two products over halves of its inner dimension: the same function, its sums in another
 * order. What this changes in a model's output is rounding alone, and so the scale by which other differences are judged.
 */
import { AttributeReader, type Graph } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

export const splitProducts = (graph: Graph): Graph =>
  rebuild(graph, (g, node) => {
    if (node.op !== "Linear") return undefined;
    const [x, weight, bias] = node.inputs;
    const transposed = new AttributeReader(node.attributes, node.name).int("transposed", 0) === 1;
    const [inAxis, width] = transposed ? [0, weight!.type.shape[0]] : [1, weight!.type.shape[1]];
    if (typeof width !== "number" || width < 2) return undefined;
    const rank = x!.type.shape.length;
    const part = (from: number, to: number) =>
      g.linear(g.slice(x!, rank - 1, from, to), g.slice(weight!, inAxis, from, to), from === 0 ? bias : undefined, {
        transposed,
      });
    const half = width >> 1;
    return [g.add(part(0, half), part(half, width))];
  });
