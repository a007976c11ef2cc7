import { GloraError } from "../base/errors.js";
import type { Rng } from "../base/rng.js";

/**
 * The drop rate of each block: linear from 0 in the first to `rate` in the last, as timm's calculate_drop_path_rates.
 * Rounded to float32 and taken from both ends towards the middle, as torch.linspace does: the rates are timm's to the bit.
 *
 * @throws {GloraError} USAGE, unless 0 ≤ rate < 1
 */
export function dropPathRates(rate: number, depth: number): number[] {
  if (!(rate >= 0 && rate < 1)) {
    throw new GloraError("USAGE", `dropPath is a probability: expected 0 up to, but not, 1, got ${rate}.`, { rate });
  }
  if (depth < 2) return new Array<number>(depth).fill(0);
  const last = Math.fround(rate);
  const stride = Math.fround(last / (depth - 1));
  return Array.from({ length: depth }, (_, i) =>
    i < Math.floor(depth / 2) ? Math.fround(stride * i) : Math.fround(last - stride * (depth - 1 - i)),
  );
}

/**
 * Masks of stochastic depth (Huang et al., 2016) for one batch: what each residual branch of each example is multiplied by.
 *
 *     1 / (1 − p) with probability 1 − p, else 0        p = rate of the block; its two branches draw apart
 *
 * Drawn example after example: a batch has the masks that its micro-batches, drawn in order, would have.
 *
 * @param rates  of each block: {@link dropPathRates}
 * @returns [2·depth, batch], row 2·i for the attention of block i, row 2·i + 1 for its MLP
 */
export function dropPathMasks(rates: readonly number[], batch: number, rng: Rng): Float32Array {
  const rows = 2 * rates.length;
  const masks = new Float32Array(rows * batch).fill(1);
  for (let example = 0; example < batch; example++) {
    for (let row = 0; row < rows; row++) {
      const keep = 1 - rates[row >> 1]!;
      if (keep < 1) masks[row * batch + example] = rng.uniform() < keep ? 1 / keep : 0;
    }
  }
  return masks;
}
