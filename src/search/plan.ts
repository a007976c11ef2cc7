/**
 * How much work a fit does: epochs, candidates and further epochs, chosen from measured times so that it ends in time.
 * The plan is stored with the run: a repetition takes it as it is.
 */
import type { TrainOptions } from "../training/options.js";
import type { EvolutionSettings } from "./evolution.js";

export interface Plan {
  readonly recipe: "default" | "paper";
  /** Training of the supernet, or of the one structure that a preset leaves. */
  readonly train: TrainOptions;
  /** Absent where there is nothing to choose from. */
  readonly search?: SearchPlan;
  /** Training of the search's winner from the inherited weights; absent where there is none. */
  readonly further?: TrainOptions;
  /** Seconds that the whole is expected to take, from measured times. */
  readonly seconds: number;
}

/** Settings of the evolution. */
export type SearchPlan = EvolutionSettings;

/** What a plan is made from, in seconds. */
export interface MeasuredTimes {
  /** One optimizer step. A fixed structure costs about what the supernet costs on average. */
  readonly step: number;
  /** The validation split once. */
  readonly validation: number;
  /** The test split once, opening sessions and merging. */
  readonly rest: number;
  /** Structures that are scored at each validation of `train`. */
  readonly watched: number;
}

/** Epochs of `train`, candidates of `search`, epochs of `further`. */
export interface Amounts {
  readonly epochs: number;
  readonly candidates: number;
  readonly further: number;
}

/** The most work that the default recipe does, whatever the time: enough for hundreds to a few thousand examples. */
const MOST: Amounts = { epochs: 60, candidates: 600, further: 30 };
/** Below this a supernet is not worth searching. */
const LEAST: Amounts = { epochs: 4, candidates: 24, further: 2 };
/** Share of the time that is planned for: the rest is for what measurements miss. */
const MARGIN = 0.8;

export interface PlanRequest {
  readonly maxSeconds: number;
  readonly searched: boolean;
  readonly further: boolean;
  readonly times: MeasuredTimes;
  /** Optimizer steps of an epoch. */
  readonly stepsPerEpoch: number;
  readonly train: Omit<TrainOptions, "epochs">;
  /** Settings of the search that are given. */
  readonly search?: Partial<SearchPlan> | undefined;
  /** Amounts that are given: the plan chooses the others. */
  readonly given?: Partial<Amounts>;
  readonly seed: number;
}

/**
 * The default recipe: as much of 60 epochs, 600 candidates and 30 further epochs as the time allows, all three scaled by
 * one factor (a preset without choice: 90 epochs), never less than a small minimum. `seconds` says whether that fits.
 */
export function planDefault(request: PlanRequest): Plan {
  const { maxSeconds, searched, further, times, train, given, seed } = request;
  const amounts = (scale: number): Amounts => {
    const scaled = (most: number, least: number) => Math.max(least, Math.round(most * scale));
    if (!searched)
      return { epochs: given?.epochs ?? scaled(MOST.epochs + MOST.further, LEAST.epochs), candidates: 0, further: 0 };
    return {
      epochs: given?.epochs ?? scaled(MOST.epochs, LEAST.epochs),
      candidates: given?.candidates ?? scaled(MOST.candidates, LEAST.candidates),
      further: further ? (given?.further ?? scaled(MOST.further, LEAST.further)) : 0,
    };
  };
  const seconds = (scale: number) => secondsOf(amounts(scale), times, request.stepsPerEpoch);
  let scale = 1;
  while (scale > 0.01 && seconds(scale) > MARGIN * maxSeconds) scale *= 0.95;
  const chosen = amounts(scale);
  return {
    recipe: "default",
    train: { ...train, epochs: chosen.epochs, validateEvery: Math.ceil(chosen.epochs / VALIDATIONS) },
    ...(searched && { search: generationsFor(chosen.candidates, seed, request.search) }),
    ...(chosen.further > 0 && { further: furtherOptions(train, chosen.further) }),
    seconds: seconds(scale),
  };
}

/** Validations of a phase of training. */
const VALIDATIONS = 5;

/** Seconds that these amounts of work are expected to take. */
export function secondsOf(
  { epochs, candidates, further }: Amounts,
  times: MeasuredTimes,
  stepsPerEpoch: number,
): number {
  return (
    (epochs + further) * stepsPerEpoch * times.step +
    VALIDATIONS * times.watched * times.validation +
    candidates * times.validation +
    (further > 0 ? VALIDATIONS * times.validation : 0) +
    times.rest
  );
}

/** Training of the winner: the same settings at 0.3 of the rate, and no warm-up, since it starts from trained weights. */
export const furtherOptions = (train: Omit<TrainOptions, "epochs">, epochs: number): TrainOptions => ({
  ...train,
  epochs,
  learningRate: FURTHER_RATE * train.learningRate,
  warmupEpochs: 0,
  validateEvery: Math.ceil(epochs / VALIDATIONS),
});
const FURTHER_RATE = 0.3;

/**
 * Population and generations of about as many candidates, in the published proportions (50 + 20 · 50). Their fitness is the
 * loss: on a hundred images it says more than the accuracy (docs/search.md).
 */
export function generationsFor(candidates: number, seed: number, given: Partial<SearchPlan> = {}): SearchPlan {
  const population = given.population ?? Math.max(6, Math.min(50, Math.round(Math.sqrt(candidates * (50 / 21)))));
  return {
    population,
    generations: Math.max(1, Math.round(candidates / population) - 1),
    parents: Math.max(2, Math.round(population / 5)),
    mutants: Math.floor(population / 2),
    crossovers: Math.floor(population / 2),
    fitness: "loss",
    ...given,
    seed,
  };
}

/** The plan with other settings of its search, and with or without further training. */
export function withSearch(
  plan: Plan,
  o: {
    readonly search?: Partial<SearchPlan> | undefined;
    readonly further?: Partial<TrainOptions> | false | undefined;
  },
): Plan {
  const { further: planned, ...rest } = plan;
  const further = planned ?? furtherOptions(plan.train, Math.ceil(plan.train.epochs / 2));
  return {
    ...rest,
    ...(plan.search && { search: { ...plan.search, ...o.search } }),
    ...(o.further === undefined && planned && { further: planned }),
    ...(o.further && { further: { ...further, ...o.further } }),
  };
}

/** Candidates of a search that finds as many new ones as it wants. */
export const candidatesOf = ({ population = 50, generations = 20 }: Partial<SearchPlan>): number =>
  population * (generations + 1);

/** The published recipe: nothing is planned but what the request adds, further training for instance. */
export function planPaper({ searched, further, times, train, search, given, seed, stepsPerEpoch }: PlanRequest): Plan {
  const settings: SearchPlan = { ...PAPER_SEARCH, ...search, seed };
  const epochs = given?.epochs ?? PAPER_EPOCHS;
  const amounts = {
    epochs,
    candidates: searched ? candidatesOf(settings) : 0,
    further: searched && further ? (given?.further ?? Math.ceil(epochs / 10)) : 0,
  };
  return {
    recipe: "paper",
    train: { validateEvery: Math.ceil(epochs / 10), ...train, epochs },
    ...(searched && { search: settings }),
    ...(amounts.further > 0 && { further: furtherOptions(train, amounts.further) }),
    seconds: secondsOf(amounts, times, stepsPerEpoch),
  };
}

const PAPER_EPOCHS = 500;
const PAPER_SEARCH = {
  population: 50,
  generations: 20,
  parents: 10,
  mutants: 25,
  crossovers: 25,
  fitness: "accuracy",
} as const;
