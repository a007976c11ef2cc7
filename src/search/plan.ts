/**
 * How much work a fit does: epochs, candidates and further epochs, chosen from measured times so that it ends in time.
 * The plan is stored with the run: a repetition takes it as it is.
 */
import { Fields, throwProblems } from "../formats/fields.js";
import { parseJson } from "../formats/folder.js";
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

export interface SearchPlan extends EvolutionSettings {
  /** Start from known methods and mixtures of them, as large as the budget allows. Default: false, as published. */
  readonly seeded?: boolean;
  /** Structures that are trained further before one of them is chosen. Default: 1, the best candidate. */
  readonly finalists?: number;
}

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

/** The most work that the default recipe does, whatever the time: enough for hundreds to a few thousand examples. */
const MOST = { epochs: 30, candidates: 600, further: 60 };
/** Below this a supernet is not worth searching. */
const LEAST = { epochs: 2, candidates: 24, further: 4 };
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
  /** Epochs of `train` and of `further`, and of the warm-up, that are given, and not planned. */
  readonly given?: { readonly epochs?: number; readonly further?: number; readonly warmup?: number };
  readonly seed: number;
}

/**
 * The default recipe: as much of 30 epochs, 600 candidates and 60 further epochs as the time allows, all three scaled by
 * one factor (a preset without choice: 90 epochs), never less than a small minimum; where the epochs alone are given, the
 * further ones are twice as many. The recipe's warm-up is at most a third of either training. `seconds` says whether that fits.
 */
export function planDefault(request: PlanRequest): Plan {
  const { maxSeconds, searched, further, train, search, given, seed } = request;
  const scaled = (most: number, least: number, scale: number) => Math.max(least, Math.round(most * scale));
  const alone = searched ? 0 : MOST.further; // a preset trains for as long as the two together
  const warmedUp = (epochs: number) => {
    const warmupEpochs = given?.warmup ?? Math.min(train.warmupEpochs ?? 0, epochs / 3);
    return { ...train, warmupEpochs };
  };
  const planAt = (scale: number): Work => {
    const epochs = given?.epochs ?? scaled(MOST.epochs + alone, LEAST.epochs, scale);
    const candidates = scaled(MOST.candidates, LEAST.candidates, scale);
    const inProportion =
      given?.epochs === undefined ? scaled(MOST.further, LEAST.further, scale) : furtherAfter(epochs);
    const more = given?.further ?? inProportion;
    return {
      train: { ...warmedUp(epochs), epochs, validateEvery: Math.ceil(epochs / VALIDATIONS) },
      ...(searched && { search: searchFor(candidates, seed, search) }),
      ...(searched && further && { further: furtherOptions(warmedUp(more), more) }),
    };
  };
  let scale = 1;
  while (scale > 0.01 && secondsOf(planAt(scale), request) > MARGIN * maxSeconds) scale *= 0.95;
  const plan = planAt(scale);
  return { recipe: "default", ...plan, seconds: secondsOf(plan, request) };
}

/** The epoch at which finalists are compared: the validation that is nearest to the middle, from above. */
export function epochOfFinals({ epochs, validateEvery = Math.ceil(epochs / 10) }: TrainOptions): number {
  return Math.min(epochs, validateEvery * Math.ceil(epochs / 2 / validateEvery));
}

/** Further epochs in the recipe's proportion to those of the supernet. */
const furtherAfter = (epochs: number): number => Math.round((MOST.further / MOST.epochs) * epochs);

type Work = Pick<Plan, "train" | "search" | "further">;

/** Validations of a phase of training. */
const VALIDATIONS = 5;

/** Seconds that this work is expected to take. */
export function secondsOf(
  { train, search, further }: Work,
  { times, stepsPerEpoch }: Pick<PlanRequest, "times" | "stepsPerEpoch">,
): number {
  const { step, validation, rest, watched } = times;
  const trained = train.epochs * stepsPerEpoch * step + VALIDATIONS * watched * validation;
  const searched = search ? candidatesOf(search) * validation : 0;
  const losers = further && search?.finalists ? search.finalists - 1 : 0;
  const epochs = further ? further.epochs + losers * epochOfFinals(further) : 0;
  const more = epochs * stepsPerEpoch * step + (further ? VALIDATIONS * (1 + losers / 2) * validation : 0);
  return trained + searched + more + rest;
}

/**
 * Training of the winner: the same settings at three times the rate. A supernet's noise wants a low one, and its winner is
 * nearer to its beginning than to its end (docs/defaults.md).
 */
export const furtherOptions = (train: Omit<TrainOptions, "epochs">, epochs: number): TrainOptions => ({
  ...train,
  epochs,
  learningRate: FURTHER_RATE * train.learningRate,
  warmupEpochs: Math.min(train.warmupEpochs ?? 0, epochs),
  validateEvery: Math.ceil(epochs / VALIDATIONS),
});
const FURTHER_RATE = 3;

/**
 * Population and generations of about as many candidates, in the published proportions (50 + 20 · 50). Their fitness is the
 * loss, a hundred images say little, the accuracy on them least; known structures start it, and a few are trained before one is
 * chosen (docs/search.md).
 */
export function searchFor(candidates: number, seed: number, given: Partial<SearchPlan> = {}): SearchPlan {
  const population = given.population ?? Math.max(6, Math.min(50, Math.round(Math.sqrt(candidates * (50 / 21)))));
  const parents = Math.max(2, Math.round(population / 5));
  return {
    population,
    generations: Math.max(1, Math.round(candidates / population) - 1),
    parents,
    mutants: Math.floor(population / 2),
    crossovers: Math.floor(population / 2),
    fitness: "loss",
    seeded: true,
    finalists: FINALISTS,
    ...given,
    seed,
  };
}

/** Three seeds, and the best candidate of the rest. */
const FINALISTS = 4;

/** A task's accuracy is what is asked for, which training does not score: the best candidate is the result. */
export const SEARCH_BY_TASKS = { fitness: "accuracy", finalists: 1 } as const satisfies Partial<SearchPlan>;

/** The plan with other settings of its search, and with or without further training. */
export function withSearch(
  plan: Plan,
  o: {
    readonly search?: Partial<SearchPlan> | undefined;
    readonly further?: Partial<TrainOptions> | false | undefined;
  },
): Plan {
  const { further: planned, ...rest } = plan;
  const further = planned ?? furtherOptions(plan.train, furtherAfter(plan.train.epochs));
  return {
    ...rest,
    ...(plan.search && { search: { ...plan.search, ...o.search } }),
    ...(o.further === undefined && planned && { further: planned }),
    ...(o.further && { further: { ...further, ...o.further } }),
  };
}

/** Candidates of a search that finds as many new ones as it wants. */
export function candidatesOf(o: Partial<SearchPlan>): number {
  const { population = 50, generations = 20, mutants = 25, crossovers = 25 } = o;
  return population + generations * Math.max(population, mutants + crossovers);
}

/** The published recipe: nothing is planned but what the request adds, further training for instance. */
export function planPaper(request: PlanRequest): Plan {
  const { searched, further, train, search, given, seed } = request;
  const epochs = given?.epochs ?? PAPER_EPOCHS;
  const plan: Work = {
    train: { validateEvery: Math.ceil(epochs / 10), ...train, epochs },
    ...(searched && { search: { ...PAPER_SEARCH, ...search, seed } }),
    ...(searched && further && { further: furtherOptions(train, given?.further ?? Math.ceil(epochs / 10)) }),
  };
  return { recipe: "paper", ...plan, seconds: secondsOf(plan, request) };
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

/**
 * A plan from the JSON that a run has stored.
 * @throws {GloraError} CONFIG with everything that is wrong with it
 */
export function readPlan(text: string, file: string): Plan {
  const json = parseJson(text, file);
  const plan = new Fields(json);
  plan.choice("recipe", undefined, { default: true, paper: true });
  plan.positive("seconds");
  if (!plan.has("train")) plan.refuse("train", "is missing; an object is expected");
  for (const phase of ["train", "further"]) {
    if (!plan.has(phase)) continue;
    const training = plan.object(phase);
    for (const key of ["epochs", "batchSize"]) training.natural(key);
    for (const key of ["learningRate", "seed"]) training.numbers(key);
  }
  if (plan.has("search")) plan.object("search").natural("seed", undefined, 0);
  throwProblems("CONFIG", file, plan.problems);
  return json as Plan;
}
