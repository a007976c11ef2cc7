/** What a training run may be told, with what each number counts. */
import type { FormKind } from "../adapters/structure.js";
import { GloraError } from "../base/errors.js";
import type { Augmentation } from "../data/augment.js";
import type { Loss } from "../models/loss.js";
import { counted } from "./progress.js";

export interface TrainOptions {
  /** Passes over the training split. */
  readonly epochs: number;
  /** Examples per optimizer step. */
  readonly batchSize: number;
  /** Examples that run through the graph at once; a step is split into as many as it needs. Default: the whole step. */
  readonly microBatchSize?: number;
  /** Leave out the last, smaller step of an epoch. Default: false. */
  readonly dropLast?: boolean;
  /** Highest learning rate. */
  readonly learningRate: number;
  /** Factors of the learning rate for the forms that the supports take, and for the head. Default: 1 each. */
  readonly rateFactors?: Partial<Record<FormKind | "head", number>>;
  /**
   * Divide the rate of C, and of B as a vector or scalar, by √in of their layer: they act through sums over its inputs, and
   * diverge at rates at which the other forms learn best. Default: false, as the published runs; the default recipe of glora does.
   */
  readonly balanceRates?: boolean;
  /** Decoupled weight decay, multiplied by the learning rate. Default: 1e-4. */
  readonly weightDecay?: number;
  /** Largest norm of a step's gradient. Default: no limit. */
  readonly clipNorm?: number;
  /** How the rate falls after the warm-up; `paper` is the published runs' schedule. Default: cosine. */
  readonly schedule?: "cosine" | "linear" | "constant" | "paper";
  /** Epochs over which the rate rises linearly. Default: 0. */
  readonly warmupEpochs?: number;
  /** Probability of dropping the last block's residual branches; lower in earlier blocks, 0 in the first. Default: 0. */
  readonly dropPath?: number;
  /** Share of the target that is spread over all classes. Default: 0. */
  readonly labelSmoothing?: number;
  /** Loss. Default: cross-entropy; `mse` compares the outputs with one-hot targets. */
  readonly loss?: "cross-entropy" | "mse";
  /**
   * Compute the activations of each block again in the backward pass instead of keeping them: a third more arithmetic, the
   * same numbers. Default: where a step would need more memory than `memoryLimit`.
   */
  readonly recompute?: boolean;
  /** Bytes that a step may take, weights included. Default: what the runtime says that its machine has. */
  readonly memoryLimit?: number;
  /** Weights of the classes in the loss: given one by one, or inversely to their frequency. Default: equal. */
  readonly classWeights?: "balanced" | readonly number[];
  /** Random changes of the training inputs. Default: none. */
  readonly augment?: Augmentation;
  /** What a tensor does in a step that does not draw it. Default: zero-gradient, as the published runs. */
  readonly undrawn?: "zero-gradient" | "skip";
  /** Epochs between validations. Default: a tenth of the run. */
  readonly validateEvery?: number;
  /** Validations without a better score after which training stops. Default: never. */
  readonly patience?: number;
  /** All chance comes from it. */
  readonly seed: number;
}

const whole = { text: "a whole number of 1 or more", holds: (n: number) => Number.isInteger(n) && n >= 1 };
const rate = { text: "a finite number of 0 or more", holds: (n: number) => Number.isFinite(n) && n >= 0 };
const share = { text: "a number from 0 up to, but not, 1", holds: (n: number) => n >= 0 && n < 1 };
const NUMBERS = {
  epochs: whole,
  batchSize: whole,
  microBatchSize: whole,
  learningRate: rate,
  weightDecay: rate,
  clipNorm: { text: "a number above 0", holds: (n: number) => n > 0 },
  warmupEpochs: rate,
  dropPath: share,
  labelSmoothing: share,
  memoryLimit: { text: "a number of bytes above 0", holds: (n: number) => n > 0 },
  validateEvery: whole,
  patience: whole,
} satisfies Partial<Record<keyof TrainOptions, unknown>>;

/** What a model is trained for, as far as its options depend on it. */
export interface Trained {
  /** How many classes each example may be of; 0 where it is of none. */
  readonly classes: number;
  /** The loss that is taken unless another is asked for. */
  readonly loss: Loss;
}

/**
 * @param trained  where that is known
 * @throws {GloraError} USAGE naming the first setting that cannot be
 */
export function checkTrainOptions(o: Partial<TrainOptions>, trained?: Trained): void {
  for (const [name, { text, holds }] of Object.entries(NUMBERS)) {
    const value = o[name as keyof typeof NUMBERS];
    if (value === undefined || holds(value)) continue;
    throw new GloraError("USAGE", `${name}: expected ${text}, got ${value}.`, { option: name, actual: value });
  }
  checkWarmup(o);
  if (!trained) return;
  checkLoss(o, trained);
  checkClassWeights(o, trained.classes);
}

function checkLoss({ loss, labelSmoothing = 0 }: Partial<TrainOptions>, { classes, loss: own }: Trained): void {
  if (loss !== undefined && loss !== own && classes === 0)
    throw new GloraError(
      "USAGE",
      `loss: ${loss} is no loss for this data, whose examples are of no class: it is trained by ${own}. Leave the option out.`,
      { option: "loss", expected: own, actual: loss },
    );
  const taken = loss ?? own;
  if (labelSmoothing > 0 && taken !== "cross-entropy")
    throw new GloraError(
      "USAGE",
      `labelSmoothing: only a cross-entropy has labels to smooth, and the loss is ${taken}. Leave the option out.`,
      { option: "labelSmoothing", actual: labelSmoothing, loss: taken },
    );
}

function checkWarmup({ epochs, warmupEpochs = 0, schedule }: Partial<TrainOptions>): void {
  const details = { option: "warmupEpochs", actual: warmupEpochs, epochs };
  if (schedule === "paper" && !Number.isInteger(warmupEpochs))
    throw new GloraError(
      "USAGE",
      `warmupEpochs: the paper's schedule changes the rate between epochs only: expected a whole number, got ${warmupEpochs}.`,
      details,
    );
  if (epochs === undefined || warmupEpochs <= epochs) return;
  throw new GloraError(
    "USAGE",
    `warmupEpochs: a warm-up of ${counted(warmupEpochs, "epoch")} is longer than the training of ` +
      `${counted(epochs, "epoch")}. Shorten the warm-up, or train for more epochs.`,
    details,
  );
}

function checkClassWeights({ classWeights }: Partial<TrainOptions>, classes: number): void {
  if (classWeights === undefined) return;
  if (classes === 0)
    throw new GloraError("USAGE", "classWeights: the data has no classes to weigh. Leave the option out.", {
      option: "classWeights",
    });
  if (classWeights === "balanced") return;
  const valid = classWeights.every((w) => w >= 0 && Number.isFinite(w)) && classWeights.some((w) => w > 0);
  if (classWeights.length === classes && valid) return;
  throw new GloraError(
    "USAGE",
    `classWeights: expected ${classes} finite numbers ≥ 0, one a class and not all 0, got [${classWeights.join(", ")}].`,
    { option: "classWeights", actual: classWeights, classes },
  );
}
