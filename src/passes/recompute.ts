/**
 * Recomputation of activations (Chen et al., 2016, arXiv:1604.06174): the backward pass computes values of the forward pass
 * again, just before it needs them, in the place of values that were kept since the forward pass made them. The numbers are
 * the same to the bit; no node draws by chance.
 *
 * What leaves a block is always kept: values computed again from each other through many blocks would all be alive when the
 * first of them is needed, and nothing would be saved.
 *
 * Runs last before the graph is lowered. It relies on the runtime merging no equal nodes, and on `orderNodes`, by which
 * a copy runs just before the gradients that read it.
 */
import { AttributeReader, dependenciesOf, Graph, type Node, subgraph, type Value } from "../ir/graph.js";

/**
 * Of each block only what leaves it is kept, and the rest computed again from there: about a third more arithmetic, and the
 * activations of one block at a time instead of all.
 *
 * @param forward  how many of the graph's first nodes are the forward pass; those after them are the backward pass
 */
export const recomputeBlocks = (graph: Graph, forward: number): Graph =>
  computeAgain(graph, forward, insideBlocks(graph, forward));

/**
 * Computes again what costs next to nothing beside the products, from what the backward pass reads anyway: no value is kept
 * for the sake of another.
 *
 * @param forward  as in {@link recomputeBlocks}
 */
export function recomputeCheap(graph: Graph, forward: number): Graph {
  const made = new Set(graph.nodes.slice(0, forward).flatMap((node) => node.outputs));
  const read = new Set(graph.nodes.slice(forward).flatMap(dependenciesOf));
  const chosen = new Map<Value, Node>();
  const isThere = (v: Value | undefined): boolean =>
    v === undefined || !made.has(v) || !isLarge(v) || read.has(v) || chosen.has(v);
  for (const [value, node] of insideBlocks(graph, forward))
    if (isLarge(value) && isCheap(node) && dependenciesOf(node).every(isThere)) chosen.set(value, node);
  return computeAgain(graph, forward, chosen);
}

/** Worth a copy: no vector, and more than one number for each row. */
const isLarge = ({ type: { shape } }: Value): boolean => shape.length >= 2 && shape.at(-1) !== 1;

/** A few operations for each number, or a move. */
const CHEAP = new Set([
  "Add",
  "Gelu",
  "LayerNormalization",
  "Mul",
  "QuickGelu",
  "Relu",
  "Reshape",
  "Sigmoid",
  "SimplifiedLayerNormalization",
  "Split",
  "Sub",
  "Tanh",
  "Transpose",
]);
/** A product of this inner size takes about as long as a Gelu of its result (1576×3072, one AVX-512 core: 4.4 and 4.9 ms). */
const THIN = 32;

function isCheap({ op, name, inputs, attributes }: Node): boolean {
  if (op !== "Gemm" && op !== "MatMul") return CHEAP.has(op);
  const transposed = new AttributeReader(attributes, name).int("transA", 0) === 1;
  const inner = inputs[0]!.type.shape.at(transposed ? -2 : -1)!;
  return typeof inner === "number" && inner <= THIN;
}

/** The values that a block of the forward pass makes for itself alone, in order, with the nodes that make them. */
function insideBlocks(graph: Graph, forward: number): Map<Value, Node> {
  const nodes = graph.nodes.slice(0, forward);
  const made = new Map(nodes.flatMap((node) => node.outputs.map((y) => [y, node] as const)));
  const leaving = new Set<Value | undefined>(graph.outputs.map(({ value }) => value));
  for (const node of nodes)
    for (const value of dependenciesOf(node)) if (value && made.get(value)?.block !== node.block) leaving.add(value);
  return new Map([...made].filter(([value, { block }]) => block !== undefined && !leaving.has(value)));
}

/** The graph whose backward pass reads copies of the chosen values: each with the node that makes it, which is copied. */
function computeAgain(graph: Graph, forward: number, chosen: ReadonlyMap<Value, Node>): Graph {
  const again = new Map<Value, Value>();
  const copies: Node[] = [];
  /** The value as the backward pass reads it. */
  const recomputed = (value: Value): Value => {
    const node = chosen.get(value);
    if (!node) return value;
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
