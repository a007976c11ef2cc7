/**
 * Methods side by side on one data set, at most at the same budget, with the same number of steps and the same learning
 * rates to choose from on the validation split. The test split is seen once for each method, by the chosen trial.
 */
import { count } from "../adapters/budget.js";
import { type PresetName, presetSpace } from "../adapters/presets.js";
import { onlyGenome } from "../adapters/space.js";
import type { Dataset, Split } from "../data/dataset.js";
import type { Metrics } from "../evaluation/metrics.js";
import { testModel } from "../evaluation/test-model.js";
import type { Model } from "../models/model.js";
import type { TrainOptions } from "../training/options.js";
import { type FitEvent, type FitResult, fit } from "./fit.js";
import type { SearchPlan } from "./plan.js";

export interface CompareOptions {
  readonly methods: readonly PresetName[];
  /** Most adapter parameters; LoRA and HiRA take the largest rank that stays within it. */
  readonly budget: number;
  /** Passes over the training examples of every trial; the searched method's supernet and winner share them. */
  readonly epochs: number;
  /** Of these, the searched method's further training of the winner. */
  readonly furtherEpochs: number;
  /** Learning rates to choose from: one trial each. */
  readonly learningRates: readonly number[];
  /** Largest rank that the searched method offers. Default: 4. */
  readonly rank?: number;
  readonly search?: Partial<SearchPlan>;
  readonly train?: Partial<TrainOptions>;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Progress of the trial that runs. */
  readonly onProgress?: (event: FitEvent, method: PresetName) => void;
  /** Called when a method is done. */
  readonly onResult?: (result: ComparedMethod) => void;
}

export interface ComparedMethod {
  readonly method: PresetName;
  /** Rank of the method's low-rank form, where it has one. */
  readonly rank: number | undefined;
  /** Adapter parameters; the head is not counted. */
  readonly parameters: number;
  /** The rate that was best on validation. */
  readonly learningRate: number;
  readonly validation: Metrics;
  readonly test: Metrics;
  /** Seconds of all trials; those of searching are apart. */
  readonly seconds: number;
  readonly searchSeconds: number;
  /** Candidates of all searches. */
  readonly candidates: number;
  /** The chosen trial. */
  readonly result: FitResult;
}

export async function compareMethods(model: Model, data: Dataset, o: CompareOptions): Promise<ComparedMethod[]> {
  const results: ComparedMethod[] = [];
  for (const method of o.methods) {
    const result = await trials(model, data, method, o);
    o.onResult?.(result);
    results.push(result);
  }
  return results;
}

async function trials(model: Model, data: Dataset, method: PresetName, o: CompareOptions): Promise<ComparedMethod> {
  const searched = method === "glora";
  const rank = searched ? (o.rank ?? 4) : largestRank(model, method, o.budget);
  const epochs = searched ? o.epochs - o.furtherEpochs : o.epochs;
  const started = performance.now();
  let best: { readonly result: FitResult; readonly learningRate: number } | undefined;
  let [searchSeconds, candidates] = [0, 0];
  for (const learningRate of o.learningRates) {
    const result = await fit(model, withoutTest(data), {
      preset: method,
      budget: o.budget,
      ...(rank !== undefined && { rank }),
      train: { ...o.train, epochs, learningRate },
      ...(searched && { search: o.search ?? {}, further: { epochs: o.furtherEpochs } }),
      seed: o.seed ?? 0,
      ...(o.signal && { signal: o.signal }),
      onProgress: (event) => o.onProgress?.(event, method),
    });
    searchSeconds += result.seconds.search ?? 0;
    candidates += result.search?.evaluated ?? 0;
    if (!best || better(result.validation!, best.result.validation!)) best = { result, learningRate };
  }
  const { result, learningRate } = best!;
  const seconds = (performance.now() - started) / 1000 - searchSeconds;
  return {
    method,
    rank,
    parameters: result.parameters!,
    learningRate,
    validation: result.validation!,
    test: await testModel(result.adapted, data, { ...(o.signal && { signal: o.signal }) }),
    seconds,
    searchSeconds,
    candidates,
    result,
  };
}

const better = (a: Metrics, b: Metrics): boolean =>
  a.accuracy > b.accuracy || (a.accuracy === b.accuracy && a.loss < b.loss);

/** The largest rank with which a low-rank method stays within the budget; undefined for a method without a rank. */
function largestRank(model: Model, method: PresetName, budget: number): number | undefined {
  if (method !== "lora" && method !== "hira") return undefined;
  const space = presetSpace(method, model.layers, { rank: 1 });
  return Math.max(1, Math.floor(budget / count(onlyGenome(space)!, space.layers, space.a)));
}

/** The data with its test split hidden, so that a trial cannot be chosen by it. */
const withoutTest = (data: Dataset): Dataset => ({
  ...data,
  prepare: async (...args) => ({ ...(await data.prepare(...args)), test: NOTHING }),
});

const NOTHING: Split = {
  size: 0,
  labels: new Int32Array(),
  names: [],
  rows: () => 1,
  targets: () => ({ kind: "labels", labels: new Int32Array() }),
  inputs: () => Promise.reject(new Error("An empty split has no examples.")),
};
