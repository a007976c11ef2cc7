/**
 * The order of nodes in the file decides the order in which ONNX Runtime runs them, and with it how long activations
 * live. It walks back from the outputs and visits, at every node, the operand whose producer stands LAST in the file
 * first. So that the backward pass frees activations as it goes, the file holds
 *
 *     forward | what the backward pass computes from the forward pass alone | the chain of gradients | the leaves
 *
 * where the leaves (all that only one piece of the packed gradient needs) stand in reverse of the order in which they
 * can run: the last layer's gradient, which is ready first, is then pulled first.
 */
import { dependenciesOf, Graph, type Node, type Value } from "../ir/graph.js";

/** Name of the initializer that holds ∂L/∂L = 1: what depends on it is the chain of gradients. */
export const gradientSeed = "gradient_seed";

export function orderNodes(graph: Graph): Graph {
  const seed = graph.initializers.find((v) => v.name === gradientSeed);
  if (!seed) return graph;

  const dependent = new Set<Value>([seed]);
  for (const node of graph.nodes)
    if (dependenciesOf(node).some((v) => v && dependent.has(v))) for (const y of node.outputs) dependent.add(y);
  const isChain = (node: Node): boolean => node.outputs.some((y) => dependent.has(y));

  const leaves = leavesOf(graph, isChain);
  const position = new Map<Value, number>();
  graph.nodes.forEach((node, i) => {
    for (const y of node.outputs) position.set(y, i);
  });
  // A leaf is ready when the last of what it reads from the chain is.
  const ready = new Map<Node, number>();
  for (const [root, members] of leaves) {
    const inside = new Set(members.flatMap((m) => m.outputs));
    const reads = members.flatMap((m) => dependenciesOf(m).filter((v) => v && !inside.has(v)));
    ready.set(root, Math.max(...reads.map((v) => position.get(v!) ?? -1)));
  }
  const roots = [...leaves.keys()].sort((a, b) => ready.get(b)! - ready.get(a)!);
  const leafNodes = roots.flatMap((root) => leaves.get(root)!);
  const isLeaf = new Set(leafNodes);
  const isLast = (node: Node): boolean =>
    node.op === "Concat" && graph.outputs.some((o) => o.value === node.outputs[0]);

  const copy = new Graph();
  copy.inputs.push(...graph.inputs);
  copy.initializers.push(...graph.initializers);
  copy.outputs.push(...graph.outputs);
  const rest = graph.nodes.filter((node) => !isLeaf.has(node));
  copy.nodes.push(
    ...rest.filter((node) => !isChain(node)),
    ...rest.filter((node) => isChain(node) && !isLast(node)),
    ...leafNodes,
    ...rest.filter((node) => isChain(node) && isLast(node)),
  );
  return copy;
}

/** For each operand of an output that is a Concat of gradients: the chain's nodes that nothing else needs. */
function leavesOf(graph: Graph, isChain: (node: Node) => boolean): Map<Node, Node[]> {
  const producer = new Map<Value, Node>();
  for (const node of graph.nodes) for (const y of node.outputs) producer.set(y, node);
  // Owner of a node: the one piece that needs it, or "shared".
  const owner = new Map<Node, Node | "shared">();
  const claim = (node: Node | undefined, by: Node | "shared"): void => {
    if (node) owner.set(node, owner.has(node) && owner.get(node) !== by ? "shared" : by);
  };
  for (const { value } of graph.outputs) {
    const node = producer.get(value);
    if (node?.op === "Concat" && isChain(node)) {
      claim(node, "shared");
      for (const piece of node.inputs) {
        const root = producer.get(piece!);
        if (root) claim(root, root);
      }
    } else claim(node, "shared");
  }
  const packs = new Set(graph.outputs.map((o) => producer.get(o.value)));
  for (const node of [...graph.nodes].reverse()) {
    const by = owner.get(node);
    if (by === undefined || (packs.has(node) && node.op === "Concat" && isChain(node))) continue;
    for (const v of dependenciesOf(node)) claim(v && producer.get(v), by);
  }
  const leaves = new Map<Node, Node[]>();
  for (const node of graph.nodes) {
    const by = owner.get(node);
    if (by && by !== "shared" && isChain(node)) leaves.set(by, [...(leaves.get(by) ?? []), node]);
  }
  return leaves;
}
