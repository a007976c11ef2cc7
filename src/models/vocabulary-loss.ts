/**
 * Cross-entropy of a language model whose vocabulary is large: head and loss together, a slice of the vocabulary at a time,
 * so that the logits of one slice are all that is ever held.
 *
 *     loss = Σ_i w_i · (lse_i − z_i,label)   with  z = x·Wᵀ,  lse_i = log Σ_c e^{z_ic}
 *     ∂loss/∂x_i = w_i · (Σ_s e^{m_is − lse_i} · (e^{z_is − m_is}·W_s) − W_label)   over slices s with their maxima m
 *
 * Each slice's part of the gradient is a product with the slice at hand: it is taken on the way, and scaled when the sum
 * over all is known. The weights are frozen, so that x alone has a gradient.
 */
import type { Builder } from "../ir/builder.js";
import type { Dim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import type { Weights } from "./weights.js";

/** Rows of a vocabulary that are computed at once. */
const SLICE = 16_384;

export const isSliced = (vocabulary: number): boolean => vocabulary > SLICE;

export interface VocabularyLoss {
  readonly loss: Value;
  /** How many rows have their label as the largest logit, float32. */
  readonly correct: Value;
}

/**
 * @param table    name of W [vocabulary, width]
 * @param x        features [rows, width]
 * @param labels   int32 [rows]
 * @param weights  float32 [rows]
 */
export function vocabularyCrossEntropy(
  g: Builder,
  w: Weights,
  table: string,
  x: Value,
  labels: Value,
  weights: Value,
): VocabularyLoss {
  const [rows] = x.type.shape as [Dim];
  const [vocabulary] = w.shape(table) as [number, number];
  const count = Math.ceil(vocabulary / SLICE);
  const bounds = Array.from({ length: count + 1 }, (_, i) => Math.round((i * vocabulary) / count));
  const slices = bounds.slice(1).map((to, i) => {
    const from = bounds[i]!;
    const W = w.rows(table, from, to);
    const logits = g.linear(x, W); // [rows, slice]
    const max = g.reshape(g.reduceMax(logits, [1]), [rows, 1]);
    const exp = g.exp(g.sub(logits, max));
    const lse = g.add(max, g.log(g.reduceSum(exp, [1], true))); // [rows, 1]
    return {
      max,
      lse,
      own: ownLogit(g, logits, labels, from, to),
      pulled: g.linear(exp, W, undefined, { transposed: true }),
    };
  });
  const lses = g.concat(
    slices.map(({ lse }) => lse),
    1,
  ); // [rows, slices]
  const top = g.reshape(g.reduceMax(lses, [1]), [rows, 1]);
  const lse = g.add(top, g.log(g.reduceSum(g.exp(g.sub(lses, top)), [1], true))); // [rows, 1]
  const own = slices.map((slice) => slice.own).reduce(g.add); // [rows]
  const losses = g.sub(g.reshape(lse, [rows]), own);

  const expected = slices.map(({ max, pulled }) => g.mul(pulled, g.exp(g.sub(max, lse)))).reduce(g.add); // Σ p·W
  const dx = g.mul(g.sub(expected, g.gather(w.get(table), labels, 0)), g.reshape(weights, [rows, 1]));
  const loss = g.withGradient(g.reduceSum(g.mul(losses, weights), [0]), x, dx);

  const largest = g.reduceMax(
    g.concat(
      slices.map(({ max }) => max),
      1,
    ),
    [1],
  );
  return { loss, correct: g.reduceSum(g.cast(g.equal(own, largest), "float32"), [0]) };
}

/** The logit of each row's label where it lies in the slice, 0 elsewhere. */
function ownLogit(g: Builder, logits: Value, labels: Value, from: number, to: number): Value {
  const [rows] = logits.type.shape as [Dim];
  const bound = (value: number) => g.constant("int32", [], [value]);
  const inside = g.and(g.greater(labels, bound(from - 1)), g.greater(bound(to), labels));
  const place = g.where(inside, g.sub(labels, bound(from)), bound(0));
  const picked = g.reshape(g.gatherElements(logits, g.reshape(place, [rows, 1]), 1), [rows]);
  return g.where(inside, picked, g.scalar(0));
}
