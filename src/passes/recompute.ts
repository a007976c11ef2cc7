/**
 * Recomputation of activations (Chen et al., 2016, arXiv:1604.06174): of each block of the forward pass only what leaves it
 * is kept; the backward pass computes the rest again from there. About a third more arithmetic, and the activations of one
 * block at a time instead of all.
 *
 * Runs last before the graph is lowered. It relies on the runtime merging no equal nodes, and on `orderNodes`, by which
 * each block is computed again just before its gradients.
 */
import { dependenciesOf, Graph, type Node, subgraph, type Value } from "../ir/graph.js";

/** @param forward  how many of the graph's first nodes are the forward pass; those after them are the backward pass */
export function recomputeBlocks(graph: Graph, forward: number): Graph {
  const producer = new Map<Value, Node>();
  for (const node of graph.nodes.slice(0, forward)) for (const y of node.outputs) producer.set(y, node);
  const kept = leavingBlocks(graph, forward, producer);

  const again = new Map<Value, Value>();
  const copies: Node[] = [];
  /** The value as the backward pass reads it. */
  const recomputed = (value: Value): Value => {
    const node = producer.get(value);
    if (node?.block === undefined || kept.has(value)) return value;
    if (!again.has(value)) copyNode(node);
    return again.get(value)!;
  };
  const copyNode = (node: Node): void => {
    const copied = rewritten(node, recomputed, "@again");
    node.outputs.forEach((y, i) => {
      again.set(y, copied.outputs[i]!);
    });
    copies.push(copied);
  };
  const backward = graph.nodes.slice(forward).map((node) => rewritten(node, recomputed));

  const copy = new Graph();
  copy.inputs.push(...graph.inputs);
  copy.initializers.push(...graph.initializers);
  copy.outputs.push(...graph.outputs);
  copy.nodes.push(...graph.nodes.slice(0, forward), ...copies, ...backward);
  return copy;
}

/** Values of a block that the forward pass uses outside of it: where the blocks join. */
function leavingBlocks(graph: Graph, forward: number, producer: ReadonlyMap<Value, Node>): Set<Value> {
  const kept = new Set<Value>(graph.outputs.map(({ value }) => value));
  for (const node of graph.nodes.slice(0, forward))
    for (const value of dependenciesOf(node)) if (value && producer.get(value)?.block !== node.block) kept.add(value);
  return kept;
}

/** The node with other values in the place of those that it reads, its branches included; its own names get a suffix. */
function rewritten(node: Node, value: (v: Value) => Value, suffix = ""): Node {
  const own = new Map<Value, Value>();
  const reads = (v: Value): Value => own.get(v) ?? value(v);
  const walk = (n: Node): Node => {
    const inputs = n.inputs.map((v) => v && reads(v));
    const attributes = Object.entries(n.attributes).map(([name, a]) => {
      if (a.type !== "graph") return [name, a] as const;
      const branch = new Graph();
      for (const v of a.value.initializers) own.set(v, v);
      branch.initializers.push(...a.value.initializers);
      branch.nodes.push(...a.value.nodes.map(walk));
      branch.outputs.push(...a.value.outputs.map((o) => ({ ...o, value: reads(o.value) })));
      return [name, subgraph(branch)] as const;
    });
    const outputs = n.outputs.map((y) => (suffix === "" ? y : { ...y, name: y.name + suffix }));
    n.outputs.forEach((y, i) => {
      own.set(y, outputs[i]!);
    });
    return { ...n, name: n.name + suffix, inputs, outputs, attributes: Object.fromEntries(attributes) };
  };
  return walk(node);
}
