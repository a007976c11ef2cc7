import { GloraError } from "../base/errors.js";

/** Where one tensor lies in the flat buffer of parameters. */
export interface TensorSlot {
  readonly offset: number;
  readonly length: number;
  /** Whether weight decay applies to it. */
  readonly decay: boolean;
}

export interface AdamWOptions {
  /** Decay of the running mean of gradients. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the running mean of squared gradients. Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator. Default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled decay, multiplied by the learning rate. Default 1e-4, the published setting. */
  readonly weightDecay?: number;
  /**
   * What a tensor does that was used before and is not now: a step with gradient zero, so that momentum and decay go on
   * (default, as the published runs), or nothing.
   */
  readonly undrawn?: "zero-gradient" | "skip";
}

/** What one optimizer step is told about each tensor. */
export interface StepPlan {
  /** 1 for each tensor whose gradient counts in this step, 0 for the others. */
  readonly used: Uint8Array;
  /** The learning rate of each used tensor; entries of the others are not read. */
  readonly learningRates: ArrayLike<number>;
}

/** Everything that an optimizer remembers, as buffers to store: restored, it goes on with the same bits. */
export interface OptimizerState {
  /** Running mean of gradients, one number a parameter. */
  readonly mean: Float32Array;
  /** Running mean of squared gradients, one number a parameter. */
  readonly square: Float32Array;
  /** Steps taken, one number a tensor; 0 where it was never used. */
  readonly steps: Float32Array;
  /** The last learning rate, one number a tensor. */
  readonly rates: Float32Array;
}

export interface Optimizer {
  /** Moves `parameters` in place. Gradients of tensors that are not used are not read. */
  step(parameters: Float32Array, gradients: Float32Array, plan: StepPlan): void;
  /** A copy of the state. */
  state(): OptimizerState;
  /** @throws {GloraError} FILE, if the state is of another table of tensors */
  restore(state: OptimizerState): void;
}

/**
 * AdamW (Loshchilov & Hutter, 2019) as torch.optim.AdamW computes it: the decay is multiplied by the learning rate η.
 *
 *     m ← β₁·m + (1 − β₁)·g        v ← β₂·v + (1 − β₂)·g²
 *     p ← (1 − η·λ)·p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
 *
 * Unlike torch, t counts the steps of each tensor from its first use, and a tensor that is not used keeps the rate that
 * it had last: see {@link AdamWOptions.undrawn}. Computed in double, rounded to float32 once, on store; rates are float32.
 *
 * @param tensors  slots of the flat buffer, without overlap; each learns on its own step count
 */
export function adamw(tensors: readonly TensorSlot[], options: AdamWOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 1e-4, undrawn = "zero-gradient" } = options;
  const size = tensors.reduce((end, slot) => Math.max(end, slot.offset + slot.length), 0);
  const mean = new Float32Array(size);
  const square = new Float32Array(size);
  const steps = new Float32Array(tensors.length);
  const rates = new Float32Array(tensors.length);

  const move = (index: number, parameters: Float32Array, gradients: Float32Array | undefined): void => {
    const { offset, length, decay } = tensors[index]!;
    const count = ++steps[index]!;
    const rate = rates[index]!;
    const kept = decay ? 1 - rate * weightDecay : 1;
    const stride = rate / (1 - beta1 ** count);
    const correction = Math.sqrt(1 - beta2 ** count);
    for (let i = offset; i < offset + length; i++) {
      const g = gradients ? gradients[i]! : 0;
      const m = beta1 * mean[i]! + (1 - beta1) * g;
      const v = beta2 * square[i]! + (1 - beta2) * g * g;
      mean[i] = m;
      square[i] = v;
      parameters[i] = kept * parameters[i]! - (stride * m) / (Math.sqrt(v) / correction + epsilon);
    }
  };

  return {
    step(parameters, gradients, { used, learningRates }) {
      for (let index = 0; index < tensors.length; index++) {
        if (used[index]) {
          rates[index] = learningRates[index]!;
          move(index, parameters, gradients);
        } else if (steps[index]! > 0 && undrawn === "zero-gradient") {
          move(index, parameters, undefined);
        }
      }
    },
    state: () => ({ mean: mean.slice(), square: square.slice(), steps: steps.slice(), rates: rates.slice() }),
    restore(state) {
      for (const [name, own] of Object.entries({ mean, square, steps, rates })) {
        const found = state[name as keyof OptimizerState].length;
        if (found !== own.length) {
          throw new GloraError(
            "FILE",
            `The saved optimizer state does not fit: "${name}" holds ${found} numbers, expected ${own.length}. ` +
              "Resume with the model, space and layers that the run was started with.",
            { field: name, expected: own.length, actual: found },
          );
        }
      }
      mean.set(state.mean);
      square.set(state.square);
      steps.set(state.steps);
      rates.set(state.rates);
    },
  };
}
