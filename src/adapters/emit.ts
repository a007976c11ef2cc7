/**
 * GLoRA's layers in a graph: replaces the composite linear layers that are adapted.
 *
 *     y = If(A is low-rank,  x·(W ⊙ (1 + Ad·Au))ᵀ,  x·Wᵀ) ⊙ (1 + s)  +  (x·Buᵀ)·Bdᵀ  +  b'
 *     b' = b ⊙ (1 + D) + E + W·C
 *
 * equals  x·(W + W ⊙ A + B)ᵀ + b ⊙ (1 + D) + E + W·C  for every form (METHOD of the paper, arXiv:2306.07967; the
 * factored arithmetic is ours). What a plan does not need is not emitted; a plan that chooses takes the booleans at run
 * time, so that an expensive branch that is not drawn costs nothing.
 */
import type { Builder } from "../ir/builder.js";
import { elements } from "../ir/dim.js";
import { AttributeReader, type Graph, type Node, type Value } from "../ir/graph.js";
import { rebuild } from "../passes/rebuild.js";
import type { SegmentName } from "./effective.js";

export interface AdaptedLayer {
  /** The effective tensors of the layer as values of the graph; those that its plan does not name are absent. */
  readonly effective: Readonly<Partial<Record<SegmentName, Value>>>;
  /** Scalars of type bool where the plan chooses: A is low-rank, C is drawn. */
  readonly choices?: { readonly lowA: Value; readonly drawnC: Value };
}

/** Sees an adapted layer's input and output as it is written: the place to compare it with something. */
export type Observe = (g: Builder, layer: string, input: Value, output: Value) => void;

/** Replaces every adapted layer of a graph by its adapted form. */
export const adaptLinears = (graph: Graph, layers: ReadonlyMap<string, AdaptedLayer>, observe?: Observe): Graph =>
  rebuild(graph, (g, node) => {
    if (node.op !== "Linear") return undefined;
    const name = new AttributeReader(node.attributes, node.name).string("layer", "");
    const layer = layers.get(name);
    if (!layer) return undefined;
    const y = g.scope(`glora(${name})`, () => adapted(g, node, layer));
    observe?.(g, name, node.inputs[0]!, y);
    return [y];
  });

function adapted(g: Builder, node: Node, layer: AdaptedLayer): Value {
  const [input, W, b] = node.inputs as [Value, Value, Value?];
  const { scale, Bd, Bu } = layer.effective;
  const shape = input.type.shape;
  const x = g.reshape(input, [elements(shape.slice(0, -1)), shape.at(-1)!]); // [rows, in]
  const bias = adaptedBias(g, W, b, layer); // [out]

  // Where no scale comes between, the product takes the bias along, as that of the frozen layer does.
  let y = product(g, x, W, scale ? undefined : bias, layer); // [rows, out]
  if (scale) y = g.mul(y, scale);
  if (Bd && Bu) y = g.gemm(g.gemm(x, Bu, undefined, { transB: true }), Bd, y, { transB: true });
  if (scale && bias) y = g.add(y, bias);
  return g.reshape(y, [...shape.slice(0, -1), W.type.shape[0]!]);
}

/** x·(W ⊙ (1 + A))ᵀ where A is low-rank, x·(W·(1 + A))ᵀ in the product form, x·Wᵀ otherwise. */
function product(g: Builder, x: Value, W: Value, bias: Value | undefined, layer: AdaptedLayer): Value {
  const { Ad, Au, Pd, Pu } = layer.effective;
  if (Pd && Pu) {
    // W·A adapts the input: x·(W + W·A)ᵀ = (x + (x·Auᵀ)·Adᵀ)·Wᵀ.
    const mixed = g.gemm(g.gemm(x, Pu, undefined, { transB: true }), Pd, x, { transB: true });
    return g.linear(mixed, W, bias);
  }
  if (!Ad || !Au) return g.linear(x, W, bias);
  // The factors carry a column and a row of ones: their product is 1 + A.
  const lowRank = (h: Builder) => h.linear(x, h.mul(W, h.matmul(Ad, Au)), bias);
  if (!layer.choices) return lowRank(g);
  return g.if(
    layer.choices.lowA,
    (h) => [lowRank(h)],
    (h) => [h.linear(x, W, bias)],
  )[0]!;
}

/** b' = b ⊙ (1 + D) + E + W·C, or undefined where nothing is left. */
function adaptedBias(g: Builder, W: Value, b: Value | undefined, layer: AdaptedLayer): Value | undefined {
  const { c, d, e } = layer.effective;
  const out = W.type.shape[0]!;
  const prompt = (h: Builder): Value => {
    const column = h.reshape(c!, [W.type.shape[1]!, 1]);
    return h.reshape(h.matmul(W, column), [out]); // W·C
  };
  const terms = [
    b && d ? g.mul(b, d) : b,
    e,
    c &&
      (layer.choices
        ? g.if(
            layer.choices.drawnC,
            (h) => [prompt(h)],
            (h) => [h.zeros([out])],
          )[0]
        : prompt(g)),
  ].filter((term): term is Value => term !== undefined);
  return terms.length === 0 ? undefined : terms.reduce(g.add);
}
