/** Drops nodes and initializers that no output needs: ONNX Runtime would run them, and keep what they read alive. */
import { dependenciesOf, Graph, type Node, subgraph, type Value } from "../ir/graph.js";

export function eliminateDead(graph: Graph): Graph {
  const live = new Set<Value>(graph.outputs.map((o) => o.value));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((y) => live.has(y))) continue;
    const attributes = Object.fromEntries(
      Object.entries(node.attributes).map(([name, a]) => [
        name,
        a.type === "graph" ? subgraph(eliminateDead(a.value)) : a,
      ]),
    );
    const kept = { ...node, attributes };
    for (const v of dependenciesOf(kept)) if (v) live.add(v);
    nodes.push(kept);
  }
  const copy = new Graph();
  copy.inputs.push(...graph.inputs);
  copy.initializers.push(...graph.initializers.filter((v) => live.has(v)));
  copy.nodes.push(...nodes.reverse());
  copy.outputs.push(...graph.outputs);
  return copy;
}
