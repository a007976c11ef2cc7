/** What a comparison does: which methods keep the budget, at which rank, and what `fit` is told for each trial. */
import { count } from "../adapters/budget.js";
import { type PresetName, type PresetOptions, powersOfTwo, presetSpace } from "../adapters/presets.js";
import { fullRank, onlyGenome, selectLayers } from "../adapters/space.js";
import type { LayerShape } from "../adapters/structure.js";
import { GloraError } from "../base/errors.js";
import type { Dataset } from "../data/dataset.js";
import type { Task } from "../data/task.js";
import type { Model } from "../models/model.js";
import type { TrainOptions } from "../training/options.js";
import { formatCount } from "../training/progress.js";
import type { Fitness } from "./candidate.js";
import { type FitOptions, headFor } from "./fit.js";
import { type SearchPlan, searchFor } from "./plan.js";

/** The settings of a comparison; every method gets the same. */
export interface CompareSettings extends Pick<PresetOptions, "layers" | "a" | "addBiases"> {
  readonly methods: readonly PresetName[];
  /**
   * Most adapter parameters, the head not counted; LoRA and HiRA take the largest rank that stays within it. Default: as
   * many as the hungriest of the methods needs at its smallest.
   */
  readonly budget?: number;
  /** Passes over the training examples of every trial; the searched method's supernet and winner share them. Default: 10. */
  readonly epochs?: number;
  /** Of these, the searched method's further training of the winner. Default: seven tenths. */
  readonly furtherEpochs?: number;
  /** Learning rates of which each method takes the best on the validation split. Default: 0.001, 0.003 and 0.01. */
  readonly learningRates?: readonly number[];
  /** How many seeds, and the first of them. Default: 1, and 0. */
  readonly seeds?: number;
  readonly seed?: number;
  /** Choose the learning rates on the first seed alone: every other seed costs one trial. Default: on each seed anew. */
  readonly selectOnFirstSeed?: boolean;
  /** Largest rank that the searched method offers. Default: 8, or LoRA's within the budget where that is more. */
  readonly rank?: number;
  /** Candidates of a search. Default: 200. */
  readonly candidates?: number;
  readonly search?: Partial<SearchPlan>;
  readonly train?: Partial<Omit<TrainOptions, "epochs" | "learningRate" | "seed" | "patience">>;
  /** Train on at most so many examples, each seed on its own draw, the classes in equal shares. Default: all. */
  readonly trainExamples?: number;
}

export interface MethodPlan {
  readonly method: PresetName;
  /** Of a low-rank method the largest within the budget; of the searched one the largest that it offers. */
  readonly rank: number | undefined;
  /** Of the searched one, the ranks that it offers where LoRA's within the budget is not a power of two. */
  readonly ranks?: readonly number[];
  /** Undefined for the searched method: its result says. */
  readonly parameters: number | undefined;
  /** Even its smallest needs more than the budget: it takes no part. */
  readonly overBudget: boolean;
}

export interface ComparePlan extends Omit<CompareSettings, "methods" | "seeds" | "candidates"> {
  readonly budget: number;
  readonly epochs: number;
  readonly furtherEpochs: number;
  readonly learningRates: readonly number[];
  readonly methods: readonly MethodPlan[];
  readonly seeds: readonly number[];
  readonly selectOnFirstSeed: boolean;
  readonly search: SearchPlan;
}

/**
 * @throws {GloraError} USAGE for settings that cannot be; BUDGET if no method keeps the budget
 */
export function planComparison(model: Model, data: readonly Dataset[], settings: CompareSettings): ComparePlan {
  const targets = settings.layers ?? model.targets;
  const o = { ...settings, ...(targets && { layers: targets }) };
  const { methods: names, candidates = 200, epochs = 10, seed = 0, selectOnFirstSeed = false, ...rest } = o;
  const furtherEpochs = o.furtherEpochs ?? Math.min(epochs - 1, Math.round(0.7 * epochs));
  const learningRates = o.learningRates ?? [1e-3, 3e-3, 1e-2];
  for (const [what, list] of Object.entries({ methods: names, data, learningRates })) {
    const keys = list.map((item) => (typeof item === "object" ? slug(item.name) : String(item)));
    const twice = keys.find((key, i) => keys.indexOf(key) < i);
    if (list.length === 0) throw new GloraError("USAGE", `${what}: at least one is expected.`);
    if (twice !== undefined) throw new GloraError("USAGE", `${what}: "${twice}" is there twice.`, { found: twice });
  }
  if (names.includes("glora") && (furtherEpochs < 1 || furtherEpochs >= epochs))
    throw new GloraError(
      "USAGE",
      `furtherEpochs: of ${epochs} epochs the supernet and its winner need one each at least; got ${furtherEpochs} for the winner.`,
      { epochs, furtherEpochs },
    );
  const headless = data.find(({ task }) => !headFor(model, task).head?.trained);
  if (names.includes("linear") && headless)
    throw new GloraError(
      "USAGE",
      `linear trains the head alone, and for ${headless.name} ${model.name} has none that is trained: leave linear out.`,
    );

  const { layers } = headFor(model, data[0]!.task);
  const budget = o.budget ?? Math.max(...(names.some(isFixed) ? names.filter(isFixed) : ["ssf" as const]).map(least));
  const methods = names.map((method) => planMethod(method, layers, budget, o));
  if (methods.every(({ overBudget }) => overBudget))
    throw new GloraError(
      "BUDGET",
      `No method keeps the budget of ${formatCount(budget)} adapter parameters: ` +
        `${methods.map(({ method, parameters }) => `${method} needs ${formatCount(parameters!)}`).join(", ")}.`,
      { budget },
    );
  return {
    ...rest,
    methods,
    budget,
    epochs,
    furtherEpochs,
    learningRates,
    seed,
    seeds: Array.from({ length: o.seeds ?? 1 }, (_, i) => seed + i),
    selectOnFirstSeed,
    search: searchFor(candidates, seed, o.search),
  };

  function least(method: PresetName): number {
    return parametersAt(method, 1, layers, o);
  }
}

const isFixed = (method: PresetName): boolean => method !== "glora";

function planMethod(method: PresetName, layers: readonly LayerShape[], budget: number, o: CompareSettings): MethodPlan {
  const lora = (): number => Math.max(1, largestRank("lora", layers, budget, o));
  if (method === "glora") {
    const most = fullRank(selectLayers(layers, o.layers));
    const rank = o.rank ?? Math.min(most, Math.max(8, lora()));
    return { method, rank, ...offering(lora(), rank), parameters: undefined, overBudget: false };
  }
  const ranked = method === "lora" || method === "hira";
  const rank = ranked ? Math.max(1, largestRank(method, layers, budget, o)) : undefined;
  const parameters = parametersAt(method, rank ?? 1, layers, o);
  return { method, rank, parameters, overBudget: parameters > budget };
}

/** Powers of two up to the rank are offered anyway; LoRA's structure shall be among those that can be found. */
function offering(lora: number, rank: number): Pick<MethodPlan, "ranks"> {
  const powers = powersOfTwo(rank);
  return lora > rank || powers.includes(lora) ? {} : { ranks: [...powers, lora].sort((a, b) => a - b) };
}

/** The largest rank that the layers can have and the budget allows; 0 where it allows none. */
function largestRank(method: PresetName, layers: readonly LayerShape[], budget: number, o: CompareSettings): number {
  const each = parametersAt(method, 1, layers, o); // the count is linear in the rank
  return Math.min(fullRank(selectLayers(layers, o.layers)), Math.floor(budget / each));
}

function parametersAt(method: PresetName, rank: number, layers: readonly LayerShape[], o: CompareSettings): number {
  const space = presetSpace(method, layers, { ...structureOf(o), rank });
  return count(onlyGenome(space)!, space.layers, space.a);
}

const structureOf = ({ layers, a, addBiases }: Pick<CompareSettings, "layers" | "a" | "addBiases">): PresetOptions => ({
  ...(layers && { layers }),
  ...(a && { a }),
  ...(addBiases !== undefined && { addBiases }),
});

/** What makes a trial: the rest is the same for all. */
export interface TrialKey {
  readonly data: string;
  readonly method: PresetName;
  readonly seed: number;
  readonly learningRate: number;
}

/** A name for people and for a folder. */
export const trialName = ({ data, method, seed, learningRate }: TrialKey): string =>
  `${slug(data)}-${method}-seed${seed}-rate${learningRate}`;

const slug = (name: string): string => name.replace(/[^\p{L}\p{N}._-]+/gu, "_");

/** What `fit` is told for a trial: nothing in it is left to measured times, so that a repetition gives the same. */
export function trialOptions(plan: ComparePlan, method: MethodPlan, { seed, learningRate }: TrialKey): FitOptions {
  const searched = method.method === "glora";
  const { epochs, furtherEpochs, budget, train } = plan;
  return {
    ...structureOf(plan),
    preset: method.method,
    budget,
    ...(method.rank !== undefined && { rank: method.rank }),
    ...(method.ranks && { ranks: method.ranks }),
    train: { ...train, epochs: searched ? epochs - furtherEpochs : epochs, learningRate },
    ...(searched && { search: { ...plan.search, seed }, further: { epochs: furtherEpochs, learningRate } }),
    maxSeconds: Number.MAX_SAFE_INTEGER,
    seed,
  };
}

/** What a task's models are chosen and compared by. */
export interface Measure {
  readonly key: Fitness;
  /** As a table names it. */
  readonly title: string;
}

export function measureOf({ kind }: Task): Measure {
  if (kind === "language") return { key: "loss", title: "loss" };
  return { key: "accuracy", title: kind === "regression" || kind === "similarity" ? "correlation" : "accuracy" };
}
