import type { Builder } from "../ir/builder.js";
import type { Dim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";

/** Rows of the drop-path mask [branches, batch], each as [batch, 1, 1]. */
export function branchMasks(g: Builder, masks: Value): Value[] {
  const [rows, batch] = masks.type.shape as [number, Dim];
  return g.split(masks, Array<number>(rows).fill(1), 0).map((row) => g.reshape(row, [batch, 1, 1]));
}

/** h + branch, as far as the branch is not dropped. */
export const residual = (g: Builder, h: Value, branch: Value, mask: Value | undefined): Value =>
  g.add(h, mask ? g.mul(branch, mask) : branch);
