import { GloraError } from "../base/errors.js";

/** A tensor of the flat buffer of gradients, with the name that an error gives. */
export interface NamedSlot {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * Scales all gradients of a step together so that their norm is at most `maxNorm`, as torch.nn.utils.clip_grad_norm_:
 *
 *     g ← g · min(1, maxNorm / (‖g‖ + 1e-6))        ‖g‖ = √Σ g² over every used tensor
 *
 * @param gradients  flat buffer, changed in place; tensors that are not used are neither read nor changed
 * @param used       1 for each tensor that counts in this step
 * @param maxNorm    `Infinity` only measures
 * @returns the norm before clipping
 * @throws {GloraError} CONFIG, naming the first tensor that holds an infinite or undefined gradient
 */
export function clipGradientNorm(
  gradients: Float32Array,
  tensors: readonly NamedSlot[],
  used: Uint8Array,
  maxNorm: number,
): number {
  const counted = tensors.filter((_, index) => used[index]);
  let sum = 0;
  for (const { name, offset, length } of counted) {
    // The square of the largest float32 is far below the largest double: the sum is finite unless an element is not.
    for (let i = offset; i < offset + length; i++) sum += gradients[i]! * gradients[i]!;
    if (!Number.isFinite(sum)) {
      throw new GloraError(
        "CONFIG",
        `The gradient of "${name}" is not finite: training has diverged. Lower the learning rate, lengthen the ` +
          "warm-up, or limit the gradient norm.",
        { tensor: name },
      );
    }
  }
  const norm = Math.sqrt(sum);
  const scale = maxNorm / (norm + 1e-6);
  if (scale < 1) {
    for (const { offset, length } of counted) {
      for (let i = offset; i < offset + length; i++) gradients[i] = gradients[i]! * scale;
    }
  }
  return norm;
}
