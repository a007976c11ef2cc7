/** Losses behind the seam, as scalars of a graph. */
import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";

/**
 * `binary-cross-entropy`: each output a label of its own; `cosine`: (cos(u, v) − t)² of the embeddings of two texts
 * (Reimers and Gurevych, 2019, arXiv:1908.10084).
 */
export type Loss = "cross-entropy" | "binary-cross-entropy" | "mse" | "cosine";

/**
 * Σ_i w_i · ce_i  with  ce = −(1 − ε) · log p_label − ε · mean_c log p_c  (label smoothing ε, as PyTorch's).
 *
 * The weights are an input of the graph, so that a step's loss is the sum over its examples divided by their count in the
 * whole step, however it is split into batches.
 *
 * @param logits  [rows, classes]
 * @param labels  int32 [rows]
 * @param weights float32 [rows]
 */
export function crossEntropy(g: Builder, logits: Value, labels: Value, weights: Value, smoothing = 0): Value {
  const [rows] = logits.type.shape;
  const logP = g.logSoftmax(logits);
  const picked = g.reshape(g.gatherElements(logP, g.reshape(labels, [rows!, 1]), 1), [rows!]);
  const target =
    smoothing === 0
      ? picked
      : g.add(g.mul(picked, g.scalar(1 - smoothing)), g.mul(g.reduceMean(logP, [1]), g.scalar(smoothing)));
  return g.neg(g.reduceSum(g.mul(weights, target), [0]));
}

/** Σ_i w_i · mean_j (y_ij − t_ij)² with outputs and targets [rows, outputs], weights [rows]. */
export function meanSquaredError(g: Builder, outputs: Value, targets: Value, weights: Value): Value {
  const difference = g.sub(outputs, targets);
  return g.reduceSum(g.mul(weights, g.reduceMean(g.mul(difference, difference), [1])), [0]);
}

/** Σ_i w_i · mean_j (log(1 + e^{y_ij}) − t_ij · y_ij): a yes or no for each output. */
export function binaryCrossEntropy(g: Builder, outputs: Value, targets: Value, weights: Value): Value {
  // log(1 + eʸ) = max(y, 0) + log(1 + e^{−|y|}), which does not overflow; max(y, 0) = (y + |y|) / 2.
  const size = g.abs(outputs);
  const positive = g.mul(g.add(outputs, size), g.scalar(0.5));
  const softplus = g.add(positive, g.log(g.add(g.exp(g.neg(size)), g.scalar(1))));
  const each = g.sub(softplus, g.mul(targets, outputs));
  return g.reduceSum(g.mul(weights, g.reduceMean(each, [1])), [0]);
}

/** Σ_i w_i · (cos(u_i, v_i) − t_i)² with embeddings [2·pairs, width] of which two neighbours are a pair, targets [pairs, 1]. */
export function cosineLoss(g: Builder, embeddings: Value, targets: Value, weights: Value): Value {
  const [pairs] = targets.type.shape;
  const one = g.constant("int64", [], [1]);
  const counted = g.cumSum(g.expand(one, [pairs!]), 0); // 1, 2, …
  const even = g.mul(g.sub(counted, one), g.constant("int64", [], [2]));
  const [u, v] = [g.gather(embeddings, even, 0), g.gather(embeddings, g.add(even, one), 0)]; // [pairs, width]
  const dot = (a: Value, b: Value) => g.reduceSum(g.mul(a, b), [1], true); // [pairs, 1]
  const lengths = g.sqrt(g.add(g.mul(dot(u!, u!), dot(v!, v!)), g.scalar(1e-16)));
  return meanSquaredError(g, g.div(dot(u!, v!), lengths), targets, weights);
}
