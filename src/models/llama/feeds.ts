import type { Tensor } from "../../base/tensor.js";
import { type Feeds, filled, forEveryText } from "../text-feeds.js";

/** A mask of ones, positions counted from 0 whatever the mask says (as transformers' forward counts them), all scored. */
export function completeFeeds(inputs: Feeds, perToken: boolean): Record<string, Tensor> {
  const ids = inputs["input_ids"];
  if (!ids) return { ...inputs };
  const [batch, tokens] = ids.shape as [number, number];
  const { position_ids: positions, attention_mask: mask, scored } = inputs;
  const every = (): Tensor => ({
    dtype: "int32",
    shape: [batch * tokens],
    data: Int32Array.from({ length: batch * tokens }, (_, i) => i),
  });
  return {
    ...inputs,
    attention_mask: mask ?? filled(ids, () => 1),
    position_ids: positions ? forEveryText(positions, ids) : filled(ids, (i) => i % tokens),
    ...(perToken && { scored: scored ?? every() }),
  };
}
