import { GloraError } from "../base/errors.js";

/** The learning rate of optimizer step `step`, counted from 0, for a group of tensors whose highest rate is `peak`. */
export type Schedule = (step: number, peak: number) => number;

export interface WarmupOptions {
  /** What follows the warm-up: a half cosine to 0, a line to 0, or the peak. */
  readonly shape: "cosine" | "linear" | "constant";
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** Optimizer steps over which the rate rises linearly from 0. Default 0. */
  readonly warmupSteps?: number;
}

/**
 * A linear warm-up, then cosine, linear or constant, equal to transformers' get_{cosine,linear,constant}_schedule_with_warmup:
 *
 *     step < w:  peak · step / w        then, with q = (step − w) / (steps − w):
 *     cosine     peak · (1 + cos(π·q)) / 2        linear  peak · (1 − q)        constant  peak
 *
 * Beyond the run q stays 1.
 * @throws {GloraError} USAGE, if steps or warmupSteps is not a whole number, or the warm-up is longer than the run
 */
export function warmupSchedule({ shape, steps, warmupSteps = 0 }: WarmupOptions): Schedule {
  checkLengths("steps", steps, "warmupSteps", warmupSteps);
  return (step, peak) => {
    if (step < warmupSteps) return (peak * step) / warmupSteps;
    const passed = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
    if (shape === "constant") return peak;
    return shape === "linear" ? peak * (1 - passed) : (peak * (1 + Math.cos(Math.PI * passed))) / 2;
  };
}

export interface PaperScheduleOptions {
  /** Optimizer steps of one epoch; the rate changes between epochs only. */
  readonly stepsPerEpoch: number;
  /** Epochs of the cosine, the warm-up among them. Default 500. */
  readonly epochs?: number;
  /** Epochs of linear rise from `initial`. Default 10. */
  readonly warmupEpochs?: number;
  /** The rate that the warm-up starts from, whatever the peak. Default 1e-6. */
  readonly initial?: number;
  /** The rate that the cosine ends at, whatever the peak. Default 1e-5. */
  readonly final?: number;
}

/**
 * The schedule of GLoRA's published runs: timm's CosineLRScheduler, stepped at the end of each epoch as the authors'
 * loop does. Epoch e so trains at the scheduler's value of e − 1, and epochs 0 and 1 both at `initial`.
 *
 *     t = max(0, epoch − 1)        t < w:  initial + (peak − initial) · t / w
 *     then  final + (peak − final) · (1 + cos(π·t / epochs)) / 2
 *
 * The warm-up is counted within the cosine (timm's warmup_prefix = false), whose first value is so a little below the peak.
 * @throws {GloraError} USAGE, if a length is not a whole number, or the warm-up is longer than the run
 */
export function paperSchedule(options: PaperScheduleOptions): Schedule {
  const { stepsPerEpoch, epochs = 500, warmupEpochs = 10, initial = 1e-6, final = 1e-5 } = options;
  checkLengths("epochs", epochs, "warmupEpochs", warmupEpochs);
  return (step, peak) => {
    const t = Math.max(0, Math.floor(step / stepsPerEpoch) - 1);
    if (t < warmupEpochs) return initial + ((peak - initial) * t) / warmupEpochs;
    return final + ((peak - final) * (1 + Math.cos(Math.PI * Math.min(1, t / epochs)))) / 2;
  };
}

function checkLengths(totalName: string, total: number, warmupName: string, warmup: number): void {
  const whole = Number.isInteger(total) && Number.isInteger(warmup);
  if (whole && total >= 1 && warmup >= 0 && warmup <= total) return;
  throw new GloraError(
    "USAGE",
    `A schedule needs ${totalName} ≥ 1 and ${warmupName} from 0 to ${totalName}, both whole numbers; got ` +
      `${totalName} ${total} and ${warmupName} ${warmup}.`,
    { [totalName]: total, [warmupName]: warmup },
  );
}
