/**
 * How much work a fit does: epochs, candidates and further epochs, chosen from measured times so that it ends in time.
 * The plan is stored with the run: a repetition takes it as it is.
 */
import type { TrainOptions } from "../training/options.js";
import type { EvolutionSettings } from "./evolution.js";

export interface Plan {
  readonly recipe: "default" | "paper" | "given";
  /** Training of the supernet, or of the one structure that a preset leaves. */
  readonly train: TrainOptions;
  /** Absent where there is nothing to choose from. */
  readonly search?: SearchPlan;
  /** Training of the search's winner from the inherited weights; absent where there is none. */
  readonly further?: TrainOptions;
  /** Seconds that the whole is expected to take; absent where nothing was measured. */
  readonly seconds?: number;
}

export interface SearchPlan extends EvolutionSettings {
  /** Of the best candidates, how many are scored again on training and validation examples together. Default: none. */
  readonly finalists?: number;
}

/** What a plan is made from, in seconds. */
export interface MeasuredTimes {
  /** One optimizer step of `train`. */
  readonly trainStep: number;
  /** One optimizer step of a fixed structure. */
  readonly furtherStep: number;
  /** The validation split once. */
  readonly validation: number;
  /** The test split once, opening sessions and merging. */
  readonly rest: number;
  readonly stepsPerEpoch: number;
  /** Structures that are scored at each validation of `train`. */
  readonly watched: number;
}

/** The most work that the default recipe does, whatever the time: enough for hundreds to a few thousand examples. */
const MOST = { epochs: 60, further: 30, candidates: 600 };
/** Below this a supernet is not worth searching. */
const LEAST = { epochs: 4, further: 2, candidates: 24 };
/** Share of the time that is planned for: the rest is for what measurements miss. */
const MARGIN = 0.8;

export interface PlanRequest {
  readonly maxSeconds: number;
  readonly searched: boolean;
  readonly further: boolean;
  /** Absent: the most work of the recipe, whatever the time. */
  readonly times: MeasuredTimes | undefined;
  readonly train: Omit<TrainOptions, "epochs">;
  readonly seed: number;
}

/**
 * The default recipe: as much of 60 epochs, 600 candidates and 30 further epochs as the time allows, all three scaled by
 * one factor (a preset without choice: 90 epochs), never less than a small minimum.
 */
export function planDefault({ maxSeconds, searched, further, times, train, seed }: PlanRequest): Plan {
  const cost = (times: MeasuredTimes, epochs: number, candidates: number, more: number): number =>
    epochs * times.stepsPerEpoch * times.trainStep +
    VALIDATIONS * times.watched * times.validation +
    candidates * times.validation +
    more * times.stepsPerEpoch * times.furtherStep +
    (more > 0 ? VALIDATIONS * times.validation : 0) +
    times.rest;
  const amounts = (scale: number) => {
    const scaled = (most: number, least: number) => Math.max(least, Math.round(most * scale));
    if (!searched) return { epochs: scaled(MOST.epochs + MOST.further, LEAST.epochs), candidates: 0, more: 0 };
    return {
      epochs: scaled(MOST.epochs, LEAST.epochs),
      candidates: scaled(MOST.candidates, LEAST.candidates),
      more: further ? scaled(MOST.further, LEAST.further) : 0,
    };
  };
  const total = (measured: MeasuredTimes, s: number): number => {
    const { epochs, candidates, more } = amounts(s);
    return cost(measured, epochs, candidates, more);
  };
  let scale = 1;
  while (times && scale > 0.01 && total(times, scale) > MARGIN * maxSeconds) scale *= 0.95;
  const { epochs, candidates, more } = amounts(scale);
  return {
    recipe: "default",
    train: { ...train, epochs, validateEvery: Math.ceil(epochs / VALIDATIONS) },
    ...(searched && { search: generationsFor(candidates, seed) }),
    ...(more > 0 && { further: furtherOptions(train, more) }),
    ...(times && { seconds: total(times, scale) }),
  };
}

const VALIDATIONS = 5;

/** Training of the winner: the same settings at 0.3 of the rate, and no warm-up, since it starts from trained weights. */
export const furtherOptions = (train: Omit<TrainOptions, "epochs">, epochs: number): TrainOptions => ({
  ...train,
  epochs,
  learningRate: FURTHER_RATE * train.learningRate,
  warmupEpochs: 0,
  validateEvery: Math.ceil(epochs / VALIDATIONS),
});
const FURTHER_RATE = 0.3;

/** Population and generations of about as many candidates, in the published proportions (50 + 20 · 50). */
export function generationsFor(candidates: number, seed: number): SearchPlan {
  const population = Math.max(6, Math.min(50, Math.round(Math.sqrt(candidates * (50 / 21)))));
  const generations = Math.max(1, Math.round(candidates / population) - 1);
  return {
    population,
    generations,
    parents: Math.max(2, Math.round(population / 5)),
    mutants: Math.floor(population / 2),
    crossovers: Math.floor(population / 2),
    seed,
  };
}

/** The published runs' settings for VTAB-1K (METHOD of arXiv:2306.07967 as its code runs it): no further training. */
export const planPaper = (seed: number, searched: boolean): Plan => ({
  recipe: "paper",
  train: {
    epochs: 500,
    batchSize: 64,
    dropLast: true,
    learningRate: 1e-4,
    weightDecay: 1e-4,
    schedule: "paper",
    warmupEpochs: 10,
    dropPath: 0.1,
    validateEvery: 50,
    seed,
  },
  ...(searched && {
    search: { population: 50, generations: 20, parents: 10, mutants: 25, crossovers: 25, fitness: "accuracy", seed },
  }),
});
