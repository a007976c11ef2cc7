/**
 * The order of nodes in the file decides the order in which ONNX Runtime runs them, and with it how long activations
 * live. It walks back from the outputs and visits, at every node, the operand whose producer stands LAST in the file
 * first. So that the backward pass frees activations as it goes, the file holds
 *
 *     weights made ready | forward | what the backward pass computes from the forward pass alone | the chain of gradients |
 *     the leaves
 *
 * where the first are nodes that read initializers alone (a 16-bit weight widened): standing first they are visited last, so
 * that each runs right before its use and not all before the first; and where the leaves (all that only one gradient needs) stand in reverse of the order in which they can run: the last
 * layer's gradient, which is ready first, is then pulled first.
 */
import { dependenciesOf, Graph, type Node, type Value } from "../ir/graph.js";

/** Name of the initializer that holds ∂L/∂L = 1: what depends on it is the chain of gradients. */
export const gradientSeed = "gradient_seed";

export function orderNodes(graph: Graph): Graph {
  const stored = new Set<Value | undefined>(graph.initializers);
  const readies = (node: Node): boolean => dependenciesOf(node).every((v) => stored.has(v));
  const ready = graph.nodes.filter(readies);
  const others = graph.nodes.filter((node) => !readies(node));
  const seed = graph.initializers.find((v) => v.name === gradientSeed);
  const first = withNodes(graph, [...ready, ...others]);
  return seed ? orderBackward(first, seed) : first;
}

function withNodes(graph: Graph, nodes: readonly Node[]): Graph {
  const copy = new Graph();
  copy.inputs.push(...graph.inputs);
  copy.initializers.push(...graph.initializers);
  copy.outputs.push(...graph.outputs);
  copy.nodes.push(...nodes);
  return copy;
}

function orderBackward(graph: Graph, seed: Value): Graph {
  const flow = flowOf(graph, seed);
  const leaves = leavesOf(graph, flow);

  // A leaf is ready when the last of what it reads is.
  const position = new Map(graph.nodes.map((node, i) => [node, i]));
  const ready = ([, members]: [Node, Node[]]): number => {
    const own = new Set(members);
    const operands = members.flatMap((node) => flow.operands.get(node)!).filter((node) => !own.has(node));
    return operands.reduce((last, node) => Math.max(last, position.get(node)!), -1);
  };
  const leafNodes = [...leaves]
    .map((leaf) => ({ members: leaf[1], ready: ready(leaf) }))
    .sort((a, b) => b.ready - a.ready)
    .flatMap(({ members }) => members);

  const isLeaf = new Set(leafNodes);
  const rest = graph.nodes.filter((node) => !isLeaf.has(node));
  return withNodes(graph, [
    ...rest.filter((node) => !flow.chain.has(node)),
    ...rest.filter((node) => flow.chain.has(node) && !flow.packs.has(node)),
    ...leafNodes,
    ...rest.filter((node) => flow.packs.has(node)),
  ]);
}

interface Flow {
  /** The nodes that compute what a node reads. */
  readonly operands: ReadonlyMap<Node, readonly Node[]>;
  /** The nodes that depend on the seed. */
  readonly chain: ReadonlySet<Node>;
  /** Nodes whose output is a gradient of the graph's interface. */
  readonly gradients: ReadonlySet<Node>;
  /** Those of them that only put gradients together. */
  readonly packs: ReadonlySet<Node>;
}

function flowOf(graph: Graph, seed: Value): Flow {
  const producer = new Map<Value, Node>();
  const operands = new Map<Node, readonly Node[]>();
  const chain = new Set<Node>();
  for (const node of graph.nodes) {
    const reads = dependenciesOf(node);
    const from = reads.map((v) => v && producer.get(v)).filter((n) => n !== undefined);
    operands.set(node, from);
    if (reads.includes(seed) || from.some((n) => chain.has(n))) chain.add(node);
    for (const y of node.outputs) producer.set(y, node);
  }
  const outputs = graph.outputs.map(({ value }) => producer.get(value));
  const gradients = new Set(outputs.filter((node) => node !== undefined && chain.has(node)) as Node[]);
  return { operands, chain, gradients, packs: new Set([...gradients].filter((node) => node.op === "Concat")) };
}

/** For each gradient that is an output, alone or packed with others by a Concat: the chain's nodes that only it needs. */
function leavesOf(graph: Graph, { operands, chain, gradients, packs }: Flow): Map<Node, Node[]> {
  // The one gradient that needs a node, or "shared".
  const owner = new Map<Node, Node | "shared">();
  const claim = (node: Node, by: Node | "shared"): void => {
    owner.set(node, owner.has(node) && owner.get(node) !== by ? "shared" : by);
  };
  for (const node of [...graph.nodes].reverse()) {
    if (packs.has(node)) for (const piece of operands.get(node)!) claim(piece, piece);
    else {
      if (gradients.has(node)) claim(node, node);
      for (const operand of operands.get(node)!) claim(operand, owner.get(node) ?? "shared");
    }
  }
  const leaves = new Map<Node, Node[]>();
  for (const node of graph.nodes) {
    const by = owner.get(node);
    if (by === undefined || by === "shared" || !chain.has(node)) continue;
    const members = leaves.get(by);
    if (members) members.push(node);
    else leaves.set(by, [node]);
  }
  return leaves;
}
