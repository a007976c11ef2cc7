/**
 * Copies a graph node by node through a function that may replace a node by others. Values that are not replaced stay
 * the same objects, so that whoever holds a value of the old graph finds it in the new one.
 */
import type { Builder } from "../ir/builder.js";
import { Graph, type Node, subgraph, type Value } from "../ir/graph.js";
import { createBuilder } from "../ops/index.js";

/** The values that stand for the node's outputs, or undefined to keep the node. Inputs are those of the new graph. */
export type Replace = (g: Builder, node: Node) => readonly Value[] | undefined;

export function rebuild(graph: Graph, replace: Replace): Graph {
  const copy = new Graph();
  copy.inputs.push(...graph.inputs);
  copy.initializers.push(...graph.initializers);
  const g = createBuilder(copy);
  g.reserve(graph);
  const replaced = new Map<Value, Value>();
  const current = (value: Value): Value => {
    const next = replaced.get(value);
    return next ? current(next) : value;
  };

  const walk = (into: Builder, nodes: readonly Node[]): void => {
    for (const node of nodes) {
      const inputs = node.inputs.map((v) => v && current(v));
      const attributes = Object.fromEntries(
        Object.entries(node.attributes).map(([name, attribute]) => {
          if (attribute.type !== "graph") return [name, attribute];
          const inner = into.branch();
          inner.graph.initializers.push(...attribute.value.initializers);
          walk(inner, attribute.value.nodes);
          return [name, subgraph(inner.return(attribute.value.outputs.map((o) => current(o.value))))];
        }),
      );
      const found = into.inBlockOf(node, () => replace(into, { ...node, inputs, attributes }));
      if (found)
        node.outputs.forEach((output, i) => {
          if (found[i] !== output) replaced.set(output, found[i]!);
        });
      else into.graph.nodes.push({ ...node, inputs, attributes });
    }
  };
  walk(g, graph.nodes);
  for (const { name, value } of graph.outputs) copy.outputs.push({ name, value: current(value) });
  return copy;
}
