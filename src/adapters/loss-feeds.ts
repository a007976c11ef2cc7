/** The graph inputs that a loss compares with. */
import type { Tensor } from "../base/tensor.js";
import type { Targets } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { INPUTS } from "./adapted-graph.js";

/** @param weights  of each row in the loss: 1 / (rows of the whole step), where all count the same */
export function lossFeeds(
  { head, loss }: Pick<Model, "head" | "loss">,
  targets: Targets,
  weights: Float32Array,
): Record<string, Tensor> {
  const rows = weights.length;
  const outputs = loss === "cosine" ? 1 : head!.out;
  const compared: Record<string, Tensor> =
    loss === "cross-entropy"
      ? { [INPUTS.labels]: { dtype: "int32", shape: [rows], data: labelsOf(targets) } }
      : { [INPUTS.targets]: { dtype: "float32", shape: [rows, outputs], data: valuesOf(targets, outputs) } };
  return { [INPUTS.rowWeights]: { dtype: "float32", shape: [rows], data: weights }, ...compared };
}

function labelsOf(targets: Targets): Int32Array {
  if (targets.kind !== "labels") throw new Error("A cross-entropy compares with labels, and found numbers.");
  return targets.labels;
}

/** Labels as numbers: 1 for the label's output, 0 for the others. */
function valuesOf(targets: Targets, outputs: number): Float32Array {
  if (targets.kind === "values") return targets.values;
  const values = new Float32Array(targets.labels.length * outputs);
  targets.labels.forEach((label, i) => {
    values[i * outputs + label] = 1;
  });
  return values;
}
