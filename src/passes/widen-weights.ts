/**
 * Weights that are stored narrower than they are computed with (float16, bfloat16) get a Cast at every use.
 *
 * One Cast a use, not one a weight: the wide copy then lives for one product alone, while the narrow one stays mapped
 * from its file. (A shared Cast would keep every wide copy alive from the forward pass to the backward pass.)
 */
import { Graph, string, type Value } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

const isNarrow = (value: Value): boolean => value.data !== undefined && value.data.dtype !== value.type.dtype;

export function widenWeights(graph: Graph): Graph {
  const stored = new Map<Value, Value>();
  for (const value of graph.initializers)
    if (isNarrow(value)) stored.set(value, { ...value, type: { ...value.type, dtype: value.data!.dtype } });
  if (stored.size === 0) return graph;

  const widened = rebuild(graph, (g, node) => {
    if (!node.inputs.some((v) => v && stored.has(v))) return undefined;
    const table = node.op === "Gather" && stored.get(node.inputs[0]!);
    // Of an embedding the picked rows alone are widened, not the whole table.
    if (table) {
      const [rows] = g.emit("Gather", [table, node.inputs[1]], node.attributes);
      return g.emit("Cast", [rows], { to: string("float32") });
    }
    const inputs = node.inputs.map((v) => {
      const narrow = v && stored.get(v);
      return narrow ? g.emit("Cast", [narrow], { to: string(v.type.dtype) })[0]! : v;
    });
    g.graph.nodes.push({ ...node, inputs });
    return node.outputs;
  });
  const copy = new Graph();
  copy.inputs.push(...widened.inputs);
  copy.initializers.push(...widened.initializers.map((v) => stored.get(v) ?? v));
  copy.nodes.push(...widened.nodes);
  copy.outputs.push(...widened.outputs);
  return copy;
}
