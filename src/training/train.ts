/**
 * The training loop: of a supernet, which draws a structure at every step, or of one fixed structure. It holds no file
 * and no clock: what must survive an interruption goes out through `onCheckpoint`, and comes back in through `resume`.
 */
import { type AdaptedGraphOptions, adaptedGraph, INPUTS } from "../adapters/adapted-graph.js";
import {
  type AdaptedModel,
  balancedRates,
  formKinds,
  pullBack,
  trainableFeeds,
  usedByGenome,
} from "../adapters/adapted-model.js";
import { lossFeeds } from "../adapters/loss-feeds.js";
import { drawGenome, namedGenomes } from "../adapters/space.js";
import type { Genome } from "../adapters/structure.js";
import { GloraError, throwIfAborted } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import type { Split } from "../data/dataset.js";
import { byLength, evaluate, scoringGraph } from "../evaluation/evaluate.js";
import { balancedClassWeights, type Metrics } from "../evaluation/metrics.js";
import type { Model } from "../models/model.js";
import type { Session } from "../runtime/runtime.js";
import { clipGradientNorm } from "./clip.js";
import { dropPathMasks, dropPathRates } from "./drop-path.js";
import { estimateMemory } from "./memory.js";
import { adamw, type OptimizerState } from "./optimizer.js";
import { checkTrainOptions, type TrainOptions } from "./options.js";
import { counted } from "./progress.js";
import { paperSchedule, type Schedule, warmupSchedule } from "./schedule.js";

/** Everything that a run needs to go on with the same bits. */
export interface TrainState {
  /** Optimizer steps done. */
  readonly step: number;
  readonly parameters: Float32Array;
  readonly optimizer: OptimizerState;
  /** The best validation so far. */
  readonly best: Best | undefined;
  /** Validations since the best one. */
  readonly sinceBest: number;
  /** Sum and number of the step losses since the last validation. */
  readonly lossSum: number;
  readonly lossCount: number;
}

export interface Best {
  readonly step: number;
  readonly accuracy: number;
  readonly loss: number;
  readonly parameters: Float32Array;
}

/** Validation of the structures that are watched, and the training loss since the one before. */
export interface Validation {
  readonly step: number;
  readonly epoch: number;
  readonly learningRate: number;
  readonly trainLoss: number;
  /** By name: a supernet's fixed structures (smallest, largest, fixed draws), or "structure". */
  readonly scores: Readonly<Record<string, Metrics>>;
  /** Means over them. */
  readonly accuracy: number;
  readonly loss: number;
  readonly isBest: boolean;
}

export interface TrainHooks {
  readonly signal?: AbortSignal | undefined;
  readonly resume?: TrainState | undefined;
  readonly onStep?: (step: number, total: number, loss: number) => void;
  readonly onValidation?: (validation: Validation) => void | Promise<void>;
  /** Called after every validation, when the run is interrupted, and when `checkpointDue`: save what it gives. */
  readonly onCheckpoint?: (state: TrainState) => void | Promise<void>;
  /** Asked in every step, once its loss has shown that the state it starts from is sound. Default: never. */
  readonly checkpointDue?: () => boolean;
}

export interface TrainResult {
  readonly steps: number;
  readonly best: Best | undefined;
  /** Training stopped before its last epoch because validation did not improve. */
  readonly stoppedEarly: boolean;
}

/** Steps of an epoch, and of the whole run. */
export function stepsOf(examples: number, o: Pick<TrainOptions, "batchSize" | "dropLast" | "epochs">) {
  const perEpoch = o.dropLast ? Math.floor(examples / o.batchSize) : Math.ceil(examples / o.batchSize);
  return { perEpoch: Math.max(1, perEpoch), total: Math.max(1, perEpoch) * o.epochs };
}

/**
 * Trains `adapted.parameters` in place.
 *
 * A step's loss is the sum over its examples divided by their count in the whole step, however it is split. Validation
 * scores fixed structures, never the one drawn last. The trained numbers at the end are the last ones; the best are in
 * the result.
 *
 * @throws {GloraError} ABORTED after a checkpoint, when the signal is given; CONFIG when training diverges: the last
 *   checkpoint is from before; DATA for labels that are none of the head's
 */
export async function train(
  adapted: AdaptedModel,
  splits: { readonly train: Split; readonly validation: Split },
  o: TrainOptions,
  hooks: TrainHooks = {},
): Promise<TrainResult> {
  const { model, parameters, tensors, space, layout } = adapted;
  const { signal } = hooks;
  const classes = classesOf(model);
  checkTrainOptions(o, { classes, loss: model.loss });
  checkSplits(splits, classes);
  const steps = stepsOf(splits.train.size, o);
  const schedule = scheduleOf(o, steps);
  const optimizer = adamw(
    tensors.map(({ offset, length }) => ({ offset, length, decay: true })),
    { weightDecay: o.weightDecay ?? 1e-4, undrawn: o.undrawn ?? "zero-gradient" },
  );
  const validateEvery = Math.max(1, o.validateEvery ?? Math.ceil(o.epochs / 10)) * steps.perEpoch;
  const watched: ReadonlyMap<string, Genome | undefined> = adapted.genome
    ? new Map([["structure", undefined]])
    : namedGenomes(space);
  const classWeights = weightsOfClasses(o, splits.train.labels, classes);
  const lossKind = o.loss ?? model.loss;
  const rows = model.residualBranches;
  const dropRates = o.dropPath && rows > 0 ? dropPathRates(o.dropPath, rows / 2) : undefined;

  let { step, best, sinceBest, lossSum, lossCount } = hooks.resume ?? START;
  if (hooks.resume) {
    optimizer.restore(hooks.resume.optimizer); // refuses the state of another model
    parameters.set(hooks.resume.parameters);
  }
  const checkpoint = async (): Promise<void> => {
    const progress = { step, best, sinceBest, lossSum, lossCount };
    await hooks.onCheckpoint?.({ ...progress, parameters: parameters.slice(), optimizer: optimizer.state() });
  };
  const validationDue = (): boolean => lossCount > 0 && (step % validateEvery === 0 || step === steps.total);
  const outOfPatience = (): boolean => o.patience !== undefined && sinceBest >= o.patience;
  const ended = (): boolean => !validationDue() && (step >= steps.total || outOfPatience());
  const result = (): TrainResult => ({ steps: step, best, stoppedEarly: outOfPatience() && step < steps.total });
  /** Scores the watched structures, keeps the best state, and reports. */
  const validate = async (session: Session): Promise<void> => {
    const scores = await scoresOf(session, adapted, watched, splits.validation, signal);
    const all = Object.values(scores);
    if (!all.every((score) => Number.isFinite(score.loss))) throw diverged("validation", step);
    const accuracy = mean(all.map((score) => score.accuracy));
    const meanLoss = mean(all.map((score) => score.loss));
    // Without a validation split the last state counts as the best.
    const isBest =
      best === undefined ||
      all.length === 0 ||
      // Of language and of numbers the loss says more: the share of likeliest tokens hardly moves.
      (classes > 0 && accuracy > best.accuracy) ||
      ((classes === 0 || accuracy === best.accuracy) && meanLoss < best.loss);
    if (isBest) best = { step, accuracy, loss: meanLoss, parameters: parameters.slice() };
    sinceBest = isBest ? 0 : sinceBest + 1;
    const trainLoss = lossSum / lossCount;
    lossSum = 0;
    lossCount = 0;
    const place = { step, epoch: step / steps.perEpoch, learningRate: schedule(step - 1, o.learningRate) };
    await hooks.onValidation?.({ ...place, trainLoss, scores, accuracy, loss: meanLoss, isBest });
    await checkpoint();
  };
  if (ended()) return result();

  const head = "trainable" as const;
  const loss = { kind: lossKind, smoothing: o.labelSmoothing ?? 0 };
  const sessions: Session[] = [];
  try {
    const dropPath = dropRates !== undefined;
    const asked = { layout, head, loss, logits: false, gradients: true, dropPath };
    const recompute = await recomputes(model, splits.train, asked, o, dropRates);
    const graph = adaptedGraph(model, { ...asked, recompute });
    const training = await model.runtime.open(graph, { name: "training", keepArena: true });
    sessions.push(training);
    const scoring = await model.runtime.open(scoringGraph(model, { layout, head }), { name: "validation" });
    sessions.push(scoring);

    const gradients = new Float32Array(parameters.length);
    let order: { readonly epoch: number; readonly indices: readonly number[] } | undefined;

    while (!ended()) {
      throwIfAborted(signal);

      if (validationDue()) {
        await validate(scoring);
        continue;
      }

      const epoch = Math.floor(step / steps.perEpoch);
      if (order?.epoch !== epoch) order = { epoch, indices: orderOf(epoch, splits.train.size, o.seed) };
      const at = (step % steps.perEpoch) * o.batchSize;
      const indices = order.indices.slice(at, at + o.batchSize);

      // One structure a step, shared by its micro-batches.
      const genome = adapted.genome ?? drawGenome(space, rngStream(o.seed, `structure of step ${step}`));
      const compared = { ...model, loss: lossKind };
      const batches = microBatches(splits.train, indices, o, step, dropRates, classWeights, compared);
      const found = await accumulate(training, batches, trainableFeeds(adapted, genome));
      if (!Number.isFinite(found.loss)) throw diverged("training", step);
      if (hooks.checkpointDue?.()) await checkpoint();

      pullBack(adapted, found.gradients, gradients, genome);
      const used = usedByGenome(adapted, genome);
      clipGradientNorm(gradients, tensors, used, o.clipNorm ?? Number.POSITIVE_INFINITY);
      const balance = o.balanceRates ? balancedRates(adapted, genome) : undefined;
      const learningRates = formKinds(adapted, genome).map((kind, i) =>
        schedule(step, o.learningRate * (o.rateFactors?.[kind] ?? 1) * (balance?.[i] ?? 1)),
      );
      optimizer.step(parameters, gradients, { used, learningRates });
      step++;
      lossSum += found.loss;
      lossCount++;
      hooks.onStep?.(step, steps.total, found.loss);
    }
    return result();
  } catch (thrown) {
    if (signal?.aborted) await checkpoint();
    throw thrown;
  } finally {
    await Promise.all(sessions.map((session) => session.dispose()));
  }
}

/** Whether a step's activations are computed again: as asked, or where those of the longest examples would not fit. */
export async function recomputes(
  model: Model,
  split: Split,
  asked: AdaptedGraphOptions,
  o: Omit<TrainOptions, "epochs">,
  dropRates?: readonly number[],
): Promise<boolean> {
  const limit = o.memoryLimit ?? model.runtime.memory;
  if (o.recompute !== undefined || limit === undefined) return o.recompute ?? false;
  const size = Math.min(o.microBatchSize ?? o.batchSize, split.size);
  const longest = byLength(
    split,
    Array.from({ length: split.size }, (_, i) => i),
  ).slice(-size);
  const feeds = microBatches(split, longest, { ...o, microBatchSize: size }, 0, dropRates, undefined, model);
  for await (const inputs of feeds) {
    const { weights, activations } = estimateMemory(model, asked, inputs);
    return weights + activations > limit;
  }
  return false;
}

/** Scores of the watched structures by name; none without a validation split. */
async function scoresOf(
  session: Session,
  adapted: AdaptedModel,
  watched: ReadonlyMap<string, Genome | undefined>,
  split: Split,
  signal: AbortSignal | undefined,
): Promise<Record<string, Metrics>> {
  const scores: Record<string, Metrics> = {};
  if (split.size === 0) return scores;
  for (const [name, genome] of watched) {
    const feeds = trainableFeeds(adapted, genome);
    scores[name] = await evaluate(session, split, adapted.model, { feeds, signal });
  }
  return scores;
}

const START = { step: 0, best: undefined, sinceBest: 0, lossSum: 0, lossCount: 0 };

/** The order in which an epoch goes through the examples. */
const orderOf = (epoch: number, examples: number, seed: number): number[] =>
  rngStream(seed, `order of epoch ${epoch}`).shuffle(Array.from({ length: examples }, (_, i) => i));

/** How many classes each example may be of; 0 where it is of none. */
export const classesOf = ({ head, loss, rows }: Model): number =>
  loss === "cross-entropy" && rows === "examples" ? head!.out : 0;

/** @throws {GloraError} DATA if there is nothing to train on, or an example's label is none of the classes */
export function checkSplits(splits: Readonly<Record<string, Split>>, classes: number): void {
  if (splits["train"]?.size === 0) throw new GloraError("DATA", "The training split is empty: nothing to train on.");
  if (classes === 0) return;
  for (const [split, { labels, names }] of Object.entries(splits)) {
    const wrong = labels.findIndex((label) => label < 0 || label >= classes);
    if (wrong < 0) continue;
    const details = { split, example: names[wrong], label: labels[wrong], classes };
    throw new GloraError(
      "DATA",
      `Example "${names[wrong]}" of the ${split} split has the label ${labels[wrong]}; expected 0 … ${classes - 1}, one of ` +
        "the head's classes.",
      details,
    );
  }
}

const diverged = (loss: "training" | "validation", step: number): GloraError =>
  new GloraError(
    "CONFIG",
    `The ${loss} loss after ${counted(step, "step")} is not finite: training has diverged. Lower the learning rate, lengthen the ` +
      "warm-up, or limit the gradient norm (clipNorm).",
    { step, option: "clipNorm" },
  );

/** What a part of a step is fed with, beside the trained numbers. */
type Feeds = Record<string, Tensor>;

/**
 * The parts of a step, one after the other, examples of like lengths together. Each row's weight is its class's over the
 * sum of the whole step, so that the split into parts changes nothing.
 */
async function* microBatches(
  split: Split,
  step: readonly number[],
  o: Omit<TrainOptions, "epochs">,
  number: number,
  dropRates: readonly number[] | undefined,
  classWeights: ArrayLike<number> | undefined,
  model: Pick<Model, "head" | "loss">,
): AsyncGenerator<Feeds> {
  const size = o.microBatchSize ?? step.length;
  const indices = size < step.length ? byLength(split, step) : step;
  const weightsOf = (part: readonly number[]): Float32Array =>
    Float32Array.from(part.flatMap((i) => Array<number>(split.rows(i)).fill(classWeights?.[split.labels[i]!] ?? 1)));
  // As PyTorch's weighted mean: divided by the sum of the weights (the count, where all are 1). A step whose classes all
  // have weight 0 moves nothing.
  const total = weightsOf(indices).reduce((a, b) => a + b, 0) || 1;
  const augmenting = o.augment ? { rng: rngStream(o.seed, `augmentation of step ${number}`) } : {};
  const dropping = rngStream(o.seed, `drop-path of step ${number}`);
  for (let from = 0; from < indices.length; from += size) {
    const part = indices.slice(from, from + size);
    const inputs = await split.inputs(part, augmenting);
    const n = Object.values(inputs)[0]!.shape[0]!;
    const weights = weightsOf(part).map((weight) => weight / total);
    const feeds: Feeds = { ...inputs, ...lossFeeds(model, split.targets(part), weights) };
    if (dropRates)
      feeds[INPUTS.dropPath] = {
        dtype: "float32",
        shape: [2 * dropRates.length, n],
        data: dropPathMasks(dropRates, n, dropping),
      };
    yield feeds;
  }
}

/** Loss and packed gradient of a step, summed over its parts. */
async function accumulate(session: Session, batches: AsyncIterable<Feeds>, trainable: Feeds) {
  let loss = 0;
  let gradients: Float32Array | undefined;
  for await (const feeds of batches) {
    const outputs = await session.run({ ...feeds, ...trainable });
    loss += outputs["loss"]!.data[0] as number;
    const packed = outputs["gradients"]!.data as Float32Array;
    if (gradients) for (let i = 0; i < packed.length; i++) gradients[i]! += packed[i]!;
    else gradients = packed;
  }
  return { loss, gradients: gradients! };
}

function scheduleOf(o: TrainOptions, steps: { readonly perEpoch: number; readonly total: number }): Schedule {
  const warmupEpochs = o.warmupEpochs ?? 0;
  if (o.schedule === "paper") return paperSchedule({ stepsPerEpoch: steps.perEpoch, epochs: o.epochs, warmupEpochs });
  const shape = o.schedule ?? "cosine";
  return warmupSchedule({ shape, steps: steps.total, warmupSteps: Math.round(warmupEpochs * steps.perEpoch) });
}

function weightsOfClasses(o: TrainOptions, labels: Int32Array, classes: number): ArrayLike<number> | undefined {
  return o.classWeights === "balanced" ? balancedClassWeights(labels, classes) : o.classWeights;
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : values.reduce((a, b) => a + b, 0) / values.length;
