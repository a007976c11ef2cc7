/**
 * Integers of 32 bits and bools go as float32 through those operators that WebGPU has for floats alone. Integers are exact up to
 * 2²⁴: token ids and positions are.
 */
import type { ElementType, Graph } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

/** Of each operator, the element types that it lacks. */
const lacking: Readonly<Record<string, readonly ElementType[]>> = {
  Concat: ["bool"],
  GatherElements: ["bool", "int32"],
  Neg: ["int32"],
  Slice: ["bool", "int32"],
  Split: ["bool"],
  Transpose: ["bool"],
};

export const throughFloats = (graph: Graph): Graph =>
  rebuild(graph, (g, node) => {
    const dtype = node.inputs[0]?.type.dtype;
    if (!dtype || !lacking[node.op]?.includes(dtype)) return undefined;
    // Operands behind the first are indices and bounds, but for Concat, whose operands are alike.
    const operands = node.inputs.map((v, i) => (v && (i === 0 || node.op === "Concat") ? g.cast(v, "float32") : v));
    return g
      .emit(node.op, operands, node.attributes, { domain: node.domain, outputs: node.outputs.length })
      .map((y) => g.cast(y, dtype));
  });
