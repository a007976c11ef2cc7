/** The composites: Linear as one Gemm over all rows, for the CPU and for wasm; WithGradient as its value. */
import { elements } from "../ir/dim.js";
import { AttributeReader, type Graph } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

export const lowerLinear = (graph: Graph): Graph =>
  rebuild(graph, (g, node) => {
    if (node.op === "WithGradient") return [node.inputs[0]!];
    if (node.op !== "Linear") return undefined;
    const [x, weight, bias] = node.inputs;
    const shape = x!.type.shape;
    const rows = g.reshape(x!, [elements(shape.slice(0, -1)), shape.at(-1)!]);
    const transposed = new AttributeReader(node.attributes, node.name).int("transposed", 0) === 1;
    const y = g.gemm(rows, weight!, bias, { transB: !transposed });
    return [g.reshape(y, [...shape.slice(0, -1), y.type.shape[1]!])];
  });
