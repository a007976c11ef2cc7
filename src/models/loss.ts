/** Losses behind the seam, as scalars of a graph. */
import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";

export type Loss = "cross-entropy" | "mse";

/**
 * Σ_i w_i · ce_i  with  ce = −(1 − ε) · log p_label − ε · mean_c log p_c  (label smoothing ε, as PyTorch's).
 *
 * The weights are an input of the graph, so that a step's loss is the sum over its examples divided by their count in the
 * whole step, however it is split into batches.
 *
 * @param logits  [batch, classes]
 * @param labels  int32 [batch]
 * @param weights float32 [batch]
 */
export function crossEntropy(g: Builder, logits: Value, labels: Value, weights: Value, smoothing = 0): Value {
  const [batch] = logits.type.shape;
  const logP = g.logSoftmax(logits);
  const picked = g.reshape(g.gatherElements(logP, g.reshape(labels, [batch!, 1]), 1), [batch!]);
  const target =
    smoothing === 0
      ? picked
      : g.add(g.mul(picked, g.scalar(1 - smoothing)), g.mul(g.reduceMean(logP, [1]), g.scalar(smoothing)));
  return g.neg(g.reduceSum(g.mul(weights, target), [0]));
}

/** Σ_i w_i · mean_j (y_ij − t_ij)² with outputs and targets [batch, outputs], weights [batch]. */
export function meanSquaredError(g: Builder, outputs: Value, targets: Value, weights: Value): Value {
  const difference = g.sub(outputs, targets);
  return g.reduceSum(g.mul(weights, g.reduceMean(g.mul(difference, difference), [1])), [0]);
}
