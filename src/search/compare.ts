/**
 * Methods side by side: on the same data, with the same seeds, at most at the same budget, with the same number of steps and
 * the same learning rates to choose from on the validation split. The test split is seen once for each method, data set and
 * seed, by the chosen trial.
 */
import type { PresetName } from "../adapters/presets.js";
import { GloraError } from "../base/errors.js";
import type { Dataset } from "../data/dataset.js";
import type { Metrics } from "../evaluation/metrics.js";
import { testModel } from "../evaluation/test-model.js";
import type { Model } from "../models/model.js";
import { memoryStore, type RunStore } from "../training/store.js";
import { ranking } from "./candidate.js";
import { trialData } from "./compare-data.js";
import { openTrialLog, type Spent, type Trial, type TrialLog } from "./compare-log.js";
import {
  type ComparePlan,
  type CompareSettings,
  type Measure,
  type MethodPlan,
  measureOf,
  planComparison,
  type TrialKey,
  trialName,
  trialOptions,
} from "./compare-plan.js";
import { type TrialsProgress, trialsProgress } from "./compare-progress.js";
import { type FitEvent, type FitOptions, type FitResult, fit } from "./fit.js";
import { hasDiverged } from "./phases.js";

export interface CompareOptions extends CompareSettings {
  /** Where finished trials are kept: a comparison that is called again with the same store goes on. Default: memory. */
  readonly store?: RunStore;
  /** Runs a trial, which may go on from where an earlier call left it. Default: `fit`, in memory. */
  readonly fit?: (model: Model, data: Dataset, o: FitOptions, trial: string) => Promise<FitResult>;
  readonly signal?: AbortSignal;
  /** Progress over all trials, and remarks. */
  readonly onProgress?: (event: FitEvent) => void;
  /** Called when a method is done on a data set with a seed; `result` is the chosen trial, where this call has made it. */
  readonly onResult?: (outcome: Outcome, result: FitResult | undefined, comparison: Comparison) => void | Promise<void>;
}

/** What a method has come to on one data set with one seed. */
export interface Outcome {
  readonly data: string;
  readonly method: PresetName;
  readonly seed: number;
  /** A trial for each learning rate. */
  readonly trials: readonly Trial[];
  /** The one that was best on validation, with its test; undefined where training diverged at every rate. */
  readonly chosen: Trial | undefined;
}

/** All that is known so far. */
export interface Comparison {
  readonly model: string;
  readonly plan: ComparePlan;
  readonly data: readonly { readonly name: string; readonly measure: Measure }[];
  readonly outcomes: readonly Outcome[];
}

/**
 * @throws {GloraError} USAGE, BUDGET or DATA before anything is trained; CONFIG if the store holds a comparison with other settings;
 *   ABORTED after saving, on `signal`
 */
export async function compareMethods(model: Model, data: readonly Dataset[], o: CompareOptions): Promise<Comparison> {
  const { store = memoryStore(), fit: fitTrial = fit, signal, onProgress, onResult, ...settings } = o;
  const plan = planComparison(model, data, settings);
  const log = await openTrialLog(store, plan, model, data);
  const tell = (event: FitEvent): void => onProgress?.(event);
  const run: TrialRunner = { model, plan, log, fit: fitTrial, signal, tell, progress: trialsProgress(plan, data, log) };
  const outcomes: Outcome[] = [];
  const sets = data.map(({ name, task }) => ({ name, measure: measureOf(task) }));
  const comparison: Comparison = { model: model.name, plan, data: sets, outcomes };
  // Seeds outermost: a comparison that is not done yet already has every method on every data set.
  for (const seed of plan.seeds)
    for (const dataset of data)
      for (const method of plan.methods) {
        if (method.overBudget) continue;
        const first = outcomes.find((known) => known.data === dataset.name && known.method === method.method);
        const { outcome, result } = await runMethod(run, dataset, method, seed, first);
        outcomes.push(outcome);
        await onResult?.(outcome, result, comparison);
      }
  return comparison;
}

interface TrialRunner {
  readonly model: Model;
  readonly plan: ComparePlan;
  readonly log: TrialLog;
  readonly fit: NonNullable<CompareOptions["fit"]>;
  readonly signal: AbortSignal | undefined;
  readonly tell: (event: FitEvent) => void;
  readonly progress: TrialsProgress;
}

/** The trials of a method on one data set with one seed, and the test of the best. */
async function runMethod(run: TrialRunner, data: Dataset, method: MethodPlan, seed: number, first?: Outcome) {
  const { plan, log, signal, tell, progress } = run;
  const place = { data: data.name, method: method.method, seed };
  const goal = measureOf(data.task).key;
  const once = first && plan.selectOnFirstSeed;
  const rates = once ? (first.chosen ? [first.chosen.learningRate] : []) : plan.learningRates;
  const trials: Trial[] = [];
  let best: { readonly trial: Trial; readonly result: FitResult | undefined } | undefined;
  for (const learningRate of rates) {
    const key = { ...place, learningRate };
    const known = log.find(key);
    const made = known ? { trial: known, result: undefined } : await runTrial(run, data, method, key);
    if (!known) tell(progress.finished(key));
    trials.push(made.trial);
    if (isBetter(made.trial, best?.trial, goal)) best = made;
  }
  if (!best) return { outcome: { ...place, trials, chosen: undefined }, result: undefined };
  let { trial: chosen, result } = best;
  if (!chosen.test) {
    result ??= (await fitTrial(run, data, method, chosen, () => undefined)).result;
    chosen = { ...chosen, test: kept(await testModel(result.adapted, data, { ...(signal && { signal }) })) };
    await log.add(chosen);
  }
  const { trial } = best;
  return { outcome: { ...place, trials: trials.map((other) => (other === trial ? chosen : other)), chosen }, result };
}

const isBetter = (trial: Trial, best: Trial | undefined, goal: Measure["key"]): boolean => {
  if (!trial.validation) return false;
  const score = ({ validation, parameters }: Trial) => ({ ...validation!, parameters });
  return !best || ranking(goal)(score(trial), score(best)) < 0;
};

/** Seconds between the notes of how much time a trial has taken. */
const KEEP_SECONDS = 5;

async function runTrial(run: TrialRunner, data: Dataset, method: MethodPlan, key: TrialKey) {
  const { log, tell, progress } = run;
  let { seconds, searchSeconds } = log.spentOn(key);
  const spent = (): Spent => ({ seconds, searchSeconds });
  let last = performance.now();
  let keptAt = last;
  let keeping: Promise<void> | undefined;
  const onProgress = (event: FitEvent): void => {
    const now = performance.now();
    const passed = (now - last) / 1000;
    last = now;
    if (event.type === "progress" && (event.phase === "search" || event.phase === "finals")) searchSeconds += passed;
    else seconds += passed;
    if (now - keptAt >= 1000 * KEEP_SECONDS) {
      keptAt = now;
      const before = keeping ?? Promise.resolve();
      keeping = before.then(() => log.keepSpent(key, spent()));
      keeping.catch(() => undefined); // thrown where it is awaited
    }
    const shown = progress.event(key, event, seconds + searchSeconds);
    if (shown) tell(shown);
  };
  const common = { ...key, ...(method.rank !== undefined && { rank: method.rank }) };
  try {
    const { result, trainExamples } = await fitTrial(run, data, method, key, onProgress);
    seconds += (performance.now() - last) / 1000;
    await keeping;
    const trial: Trial = {
      ...common,
      parameters: result.parameters!,
      trainExamples,
      validation: kept(result.validation!),
      ...spent(),
      candidates: result.search?.evaluated ?? 0,
    };
    await log.add(trial);
    return { trial, result };
  } catch (thrown) {
    await keeping;
    if (thrown instanceof GloraError && thrown.code === "ABORTED") await log.keepSpent(key, spent());
    if (!hasDiverged(thrown)) throw thrown;
    tell({ type: "note", text: `${trialName(key)}: ${thrown.message}` });
    const parameters = method.parameters ?? 0;
    const trial: Trial = { ...common, parameters, trainExamples: 0, ...spent(), candidates: 0 };
    await log.add(trial);
    return { trial, result: undefined };
  }
}

async function fitTrial(
  { model, plan, fit, signal }: TrialRunner,
  data: Dataset,
  method: MethodPlan,
  key: TrialKey,
  onProgress: (event: FitEvent) => void,
) {
  const view = trialData(data, plan.trainExamples, key.seed);
  const options = { ...trialOptions(plan, method, key), ...(signal && { signal }), onProgress };
  const result = await fit(model, view.data, options, trialName(key));
  return { result, trainExamples: view.trained() ?? 0 };
}

/** Metrics without what no table needs. */
function kept(metrics: Metrics & { readonly confusion?: unknown }): Metrics {
  const { confusion: _, ...rest } = metrics;
  return rest;
}
