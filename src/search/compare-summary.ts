/** What a comparison says: each method's scores with their spread, and its difference from a method of reference. */
import type { PresetName } from "../adapters/presets.js";
import { GloraError } from "../base/errors.js";
import type { Comparison, Outcome } from "./compare.js";
import type { Trial } from "./compare-log.js";
import type { MethodPlan } from "./compare-plan.js";
import { type Paired, pairedTest, type Spread, spreadOf } from "./compare-statistics.js";

export interface MethodSummary extends Pick<MethodPlan, "method" | "rank" | "overBudget"> {
  /** Of its results: the fewest and the most adapter parameters. */
  readonly parameters: readonly [number, number] | undefined;
  /** Rates that were chosen, ascending. */
  readonly learningRates: readonly number[];
  /** Test scores over the seeds, by data set. */
  readonly scores: Readonly<Record<string, Spread>>;
  /** Of each seed's mean over the data sets; where these are measured alike, and there are several. */
  readonly mean: Spread | undefined;
  /** Of a chosen trial, the mean: seconds of training and validation, and of searching. */
  readonly seconds: number;
  readonly searchSeconds: number;
  /** Of all searches. */
  readonly candidates: number;
  /** Method − reference, a pair for each seed and data set. */
  readonly difference: Paired | undefined;
  /** The same for each data set. */
  readonly differences: Readonly<Record<string, Paired>>;
  /** Seeds × data sets in which training diverged at every rate. */
  readonly diverged: number;
}

export interface ComparisonSummary {
  readonly reference: PresetName;
  /** Every data set is measured by this; undefined where they differ. */
  readonly measure: Comparison["data"][number]["measure"] | undefined;
  readonly methods: readonly MethodSummary[];
  /** Seconds of all trials, of this call and of earlier ones. */
  readonly seconds: number;
}

/**
 * @param reference  the method that others are compared with. Default: LoRA, or the first that keeps the budget
 * @throws {GloraError} USAGE if the reference takes no part
 */
export function summarize({ plan, data, outcomes }: Comparison, reference?: PresetName): ComparisonSummary {
  const taking = plan.methods.filter(({ overBudget }) => !overBudget).map(({ method }) => method);
  const base = reference ?? (taking.includes("lora") ? "lora" : taking[0]!);
  if (!taking.includes(base))
    throw new GloraError("USAGE", `reference: ${base} takes no part; the methods that do are ${taking.join(", ")}.`);
  const [first] = data;
  const measure = data.every((set) => set.measure.title === first!.measure.title) ? first!.measure : undefined;

  const scoreOf = ({ data: name, chosen }: Outcome): number => {
    const { key } = data.find((set) => set.name === name)!.measure;
    return chosen!.test![key];
  };
  const tested = outcomes.filter(({ chosen }) => chosen?.test);
  const find = (method: PresetName, set: string, seed: number) =>
    tested.find((outcome) => outcome.method === method && outcome.data === set && outcome.seed === seed);

  const methods = plan.methods.map((planned): MethodSummary => {
    const { method, rank, overBudget } = planned;
    const all = outcomes.filter((outcome) => outcome.method === method);
    const own = tested.filter((outcome) => outcome.method === method);
    const chosen = own.map((outcome) => outcome.chosen!);
    const scoresOn = (name: string) => own.filter((outcome) => outcome.data === name).map(scoreOf);
    const differencesOn = (name: string): number[] =>
      own.flatMap((outcome) => {
        const other = outcome.data === name ? find(base, name, outcome.seed) : undefined;
        return other ? [scoreOf(outcome) - scoreOf(other)] : [];
      });
    const bySeed = plan.seeds.flatMap((seed) => {
      const found = data.flatMap(({ name }) => find(method, name, seed) ?? []);
      return found.length === data.length ? [spreadOf(found.map(scoreOf)).mean] : [];
    });
    const names = data.map(({ name }) => name);
    const compared = method === base ? [] : names.filter((name) => differencesOn(name).length > 0);
    return {
      method,
      rank,
      overBudget,
      parameters: parametersOf(planned, chosen),
      learningRates: [...new Set(chosen.map(({ learningRate }) => learningRate))].sort((a, b) => a - b),
      scores: Object.fromEntries(names.map((name) => [name, spreadOf(scoresOn(name))])),
      mean: measure && data.length > 1 ? spreadOf(bySeed) : undefined,
      seconds: spreadOf(chosen.map(({ seconds }) => seconds)).mean,
      searchSeconds: spreadOf(chosen.map(({ searchSeconds }) => searchSeconds)).mean,
      candidates: all.flatMap(({ trials }) => trials).reduce((sum, { candidates }) => sum + candidates, 0),
      difference: measure && compared.length > 0 ? pairedTest(compared.flatMap(differencesOn)) : undefined,
      differences: Object.fromEntries(compared.map((name) => [name, pairedTest(differencesOn(name))])),
      diverged: all.filter((outcome) => !outcome.chosen).length,
    };
  });
  const trials = outcomes.flatMap((outcome) => outcome.trials);
  const seconds = trials.reduce((sum, trial) => sum + trial.seconds + trial.searchSeconds, 0);
  return { reference: base, measure, methods, seconds };
}

function parametersOf({ parameters }: MethodPlan, chosen: readonly Trial[]): readonly [number, number] | undefined {
  const counts = chosen.length > 0 ? chosen.map((trial) => trial.parameters) : [parameters];
  const known = counts.filter((count) => count !== undefined);
  return known.length > 0 ? [Math.min(...known), Math.max(...known)] : undefined;
}
