/** What a comparison keeps: its settings, a line for each finished trial, and the time spent on the one under way. */
import { PRESETS, type PresetName } from "../adapters/presets.js";
import type { Dataset } from "../data/dataset.js";
import type { Metrics } from "../evaluation/metrics.js";
import { Fields, throwProblems } from "../formats/fields.js";
import { parseJson } from "../formats/folder.js";
import type { Model } from "../models/model.js";
import { fileOf, type RunStore, readStored } from "../training/store.js";
import { type ComparePlan, type TrialKey, trialName } from "./compare-plan.js";
import { brokenLine, type JsonLine, jsonLines } from "./json-lines.js";
import {
  dataDifferences,
  differences,
  type Json,
  type JsonObject,
  placeOf,
  plain,
  refuseDifferences,
} from "./run-config.js";

/** A finished trial. */
export interface Trial extends TrialKey {
  readonly rank?: number;
  /** Adapter parameters; the head is not counted. */
  readonly parameters: number;
  readonly trainExamples: number;
  /** Undefined where training diverged. */
  readonly validation?: Metrics;
  /** Of a chosen trial alone. */
  readonly test?: Metrics;
  /** Seconds of training and validation, those of searching not among them. */
  readonly seconds: number;
  readonly searchSeconds: number;
  /** Candidates of the search. */
  readonly candidates: number;
}

/** Seconds so far, over all calls. */
export type Spent = Pick<Trial, "seconds" | "searchSeconds">;

export interface TrialLog {
  find(key: TrialKey): Trial | undefined;
  all(): readonly Trial[];
  /** Adds a finished trial; a second line of the same one, with its test, takes the place of the first. */
  add(trial: Trial): Promise<void>;
  /** What earlier, interrupted calls have spent on a trial. */
  spentOn(key: TrialKey): Spent;
  keepSpent(key: TrialKey, spent: Spent): Promise<void>;
}

export const COMPARISON = "compare.json";
const FORMAT = "glora-compare";
const VERSION = 1;
const [DATA, TRIALS, RUNNING] = ["data.json", "trials.jsonl", "running.json"];

/**
 * Opens what the store holds of this comparison, or begins it. Methods, data sets and seeds may be more or others than
 * before; all else must be the same.
 *
 * @throws {GloraError} CONFIG with everything that differs; FILE naming the line of trials.jsonl that is damaged
 */
export async function openTrialLog(
  store: RunStore,
  plan: ComparePlan,
  model: Model,
  data: readonly Dataset[],
): Promise<TrialLog> {
  await begin(store, plan, model, data);
  const file = fileOf(store, TRIALS);
  const lines = jsonLines((await readStored(store, TRIALS)) ?? "", file);
  const trials = new Map<string, Trial>();
  for (const line of lines) {
    const trial = readTrial(line, file);
    trials.set(trialName(trial), trial);
  }
  if (lines.length > 0) await store.write(TRIALS, lines.map(({ text }) => text).join("")); // without a line that was cut
  const running = await readRunning(store);
  return {
    find: (key) => trials.get(trialName(key)),
    all: () => [...trials.values()],
    async add(trial) {
      trials.set(trialName(trial), trial);
      await store.append(TRIALS, `${JSON.stringify(trial)}\n`);
    },
    spentOn: (key) => (running?.trial === trialName(key) ? running : { seconds: 0, searchSeconds: 0 }),
    keepSpent: (key, spent) => store.write(RUNNING, `${JSON.stringify({ trial: trialName(key), ...spent })}\n`),
  };
}

/** Compares what the comparison was begun with, if the store holds one, with what it is to go on with. */
async function begin(store: RunStore, plan: ComparePlan, model: Model, data: readonly Dataset[]): Promise<void> {
  const config: JsonObject = plain({
    format: FORMAT,
    version: VERSION,
    model: placeOf(model),
    options: shaping(plan) as JsonObject,
  });
  const described = Object.fromEntries(data.map((set) => [set.name, plain(set.describe() ?? {}) as Json]));
  const stored = await readJsonOf(store, COMPARISON);
  const known = await readJsonOf(store, DATA);
  if (stored) {
    const both = data.map(({ name }) => name).filter((name) => known?.[name] !== undefined);
    refuseDifferences("comparison", [
      ...["format", "version", "model", "options"].flatMap((key) => differences(stored[key], config[key], key)),
      ...both.flatMap((name) => dataDifferences(known![name]!, described[name]!, `data ${name}`)),
    ]);
  }
  await store.write(DATA, `${JSON.stringify({ ...known, ...described })}\n`);
  if (!stored) await store.write(COMPARISON, `${JSON.stringify(config, null, 2)}\n`);
}

/** The settings that shape a trial's result, or which trial is chosen; the compiler asks here about every new one. */
const shaping = (plan: ComparePlan): Record<Exclude<keyof ComparePlan, "methods" | "seeds">, unknown> => ({
  budget: plan.budget,
  epochs: plan.epochs,
  furtherEpochs: plan.furtherEpochs,
  learningRates: plan.learningRates,
  seed: plan.seed,
  selectOnFirstSeed: plan.selectOnFirstSeed,
  rank: plan.rank,
  layers: plan.layers,
  a: plan.a,
  addBiases: plan.addBiases,
  search: plan.search,
  train: plan.train,
  trainExamples: plan.trainExamples,
});

async function readJsonOf(store: RunStore, name: string): Promise<JsonObject | undefined> {
  const text = await readStored(store, name);
  if (text === undefined) return undefined;
  const json = parseJson(text, fileOf(store, name));
  throwProblems("CONFIG", fileOf(store, name), new Fields(json).problems); // an object
  return json as JsonObject;
}

/** The time that an interrupted call has spent. */
async function readRunning(store: RunStore): Promise<(Spent & { readonly trial: string }) | undefined> {
  const json = await readJsonOf(store, RUNNING);
  if (!json) return undefined;
  const fields = new Fields(json);
  const [seconds, searchSeconds] = [fields.numbers("seconds")[0]!, fields.numbers("searchSeconds")[0]!];
  const running = { trial: fields.text("trial"), seconds, searchSeconds };
  throwProblems("CONFIG", fileOf(store, RUNNING), fields.problems);
  return running;
}

function readTrial({ json, number: line }: JsonLine, file: string): Trial {
  const trial = new Fields(json);
  trial.text("data");
  trial.choice<PresetName>("method", undefined, Object.fromEntries(PRESETS.map((preset) => [preset, preset])));
  for (const key of ["seed", "parameters", "trainExamples", "candidates"]) trial.natural(key, undefined, 0);
  for (const key of ["learningRate", "seconds", "searchSeconds"]) trial.numbers(key);
  for (const split of ["validation", "test"])
    if (trial.has(split)) for (const key of ["examples", "loss", "accuracy"]) trial.object(split).numbers(key);
  if (trial.problems.length > 0) throw brokenLine(file, line, `not a trial (${trial.problems[0]})`);
  return json as Trial;
}
