import { Graph, type Value } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

/** The graph with other initializers in the place of its own; `replace` gives one back as it is where it stays. */
export function replaceWeights(graph: Graph, replace: (weight: Value) => Value): Graph {
  const replaced = new Map<Value, Value>();
  for (const weight of graph.initializers) {
    const other = replace(weight);
    if (other !== weight) replaced.set(weight, other);
  }
  if (replaced.size === 0) return graph;
  const current = (value: Value): Value => replaced.get(value) ?? value;
  const copied = rebuild(graph, (g, node) => {
    if (!node.inputs.some((v) => v && replaced.has(v))) return undefined;
    g.graph.nodes.push({ ...node, inputs: node.inputs.map((v) => v && current(v)) });
    return node.outputs;
  });
  const result = new Graph();
  result.inputs.push(...copied.inputs);
  result.initializers.push(...copied.initializers.map(current));
  result.nodes.push(...copied.nodes);
  result.outputs.push(...copied.outputs.map((o) => ({ ...o, value: current(o.value) })));
  return result;
}
