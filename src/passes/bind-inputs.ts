import type { Tensor } from "../base/tensor.js";
import { Graph, type Value } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

/** The graph with some of its inputs set for good: they become weights. */
export function bindInputs(graph: Graph, values: Readonly<Record<string, Tensor>>): Graph {
  const bound = new Map<Value, Value>();
  for (const input of graph.inputs) {
    const tensor = Object.hasOwn(values, input.name) ? values[input.name] : undefined;
    if (tensor)
      bound.set(input, { ...input, type: { dtype: tensor.dtype, shape: tensor.shape }, data: dataOf(tensor) });
  }
  if (bound.size === 0) return graph;
  const copied = rebuild(graph, (g, node) => {
    if (!node.inputs.some((v) => v && bound.has(v))) return undefined;
    g.graph.nodes.push({ ...node, inputs: node.inputs.map((v) => v && (bound.get(v) ?? v)) });
    return node.outputs;
  });
  const result = new Graph();
  result.inputs.push(...copied.inputs.filter((input) => !bound.has(input)));
  result.initializers.push(...copied.initializers, ...bound.values());
  result.nodes.push(...copied.nodes);
  result.outputs.push(...copied.outputs);
  return result;
}

const dataOf = ({ dtype, data }: Tensor): NonNullable<Value["data"]> => ({
  kind: "inline",
  dtype,
  bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice(),
});
