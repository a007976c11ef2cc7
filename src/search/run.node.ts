/** Fits that live in a folder: config, plan, log, checkpoints, adapter and results; begun, interrupted, resumed. */
import { rm } from "node:fs/promises";
import { basename, join, resolve as resolvePath } from "node:path";
import { describeBase, openAdapterPath, saveAdapter } from "../adapters/adapter-file.node.js";
import { toAdapter } from "../adapters/attach.js";
import type { MergeOptions } from "../adapters/export.js";
import { type MergeResult, mergeModel } from "../adapters/export.node.js";
import { mergeInputs } from "../adapters/merge-inputs.js";
import { GloraError } from "../base/errors.js";
import { packageVersion } from "../base/version.node.js";
import type { Dataset } from "../data/dataset.js";
import { type DataSource, openData } from "../data/open.node.js";
import type { TextOptions } from "../data/text/text-options.js";
import { localTasks } from "../evaluation/tasks/local-data.node.js";
import { Fields, throwProblems } from "../formats/fields.js";
import { contentOf, liesIn } from "../formats/folder.node.js";
import type { Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import type { DeviceName, Runtime } from "../runtime/runtime.js";
import { folderStore } from "../training/folder-store.node.js";
import { fileOf, type RunStore, readStored } from "../training/store.js";
import { type FitOptions, type FitResult, fit as fitInStore, storedPlan } from "./fit.js";
import { SEARCH_BY_TASKS, withSearch } from "./plan.js";
import { DATA, type JsonObject, type RunConfig, readConfig, readDescription, writeConfig } from "./run-config.js";
import { fitnessQuestions, type TaskFitness, type TaskFitnessSettings } from "./task-fitness.js";

export interface FitToFolderOptions extends Omit<FitOptions, "store" | "origin"> {
  /**
   * A folder for the run: what is in it survives an interruption. New, or that of a run with the same settings, which goes
   * on. Default: nothing is kept.
   */
  readonly out?: string;
  /** Whether the result is to be merged, for who goes on with the run: its folder remembers it. Default: true. */
  readonly merge?: boolean;
}

/** A fit that has come to its end, or to where it was to stop. */
export interface Run extends FitResult {
  /** The run's folder, if it has one. */
  readonly folder: string | undefined;
  /** It was begun to be merged, as `merge` of {@link fit} said. */
  readonly toMerge: boolean;
  /**
   * Writes the adapted model as a plain one of the original shape, after comparing both on examples of the data.
   * @throws {GloraError} MERGE if they disagree: no folder is left behind; USAGE for the base's own folder
   */
  merge(out: string, o?: Pick<MergeOptions, "dtype">): Promise<MergeResult>;
  /** Writes the adapter alone. */
  save(out: string): Promise<void>;
}

/**
 * Fine-tunes a model on data: trains a supernet of GLoRA adapters, searches a structure within the budget, trains the
 * winner further and tests it once.
 *
 *     const model = await openModel("models/vit-micro");
 *     const data = await imageFolder("flowers", { split: { validation: 0.2 } });
 *     const run = await fit(model, data, { budget: 100_000, out: "runs/flowers" });
 *     await run.merge("flowers-vit");
 *
 * @throws {GloraError} BUDGET, DATA or MODEL before anything runs; CONFIG if `out` holds a run with other settings or data,
 *   saying what differs; ABORTED after saving, when the signal is given
 */
export async function fit(model: Model, data: Dataset, o: FitToFolderOptions = {}): Promise<Run> {
  const { out, merge = true, ...options } = o;
  const begun = { folder: out, toMerge: merge };
  if (out === undefined) return asRun(await fitInStore(model, data, options), data, begun);
  const { folder } = (data.describe() ?? {}) as { readonly folder?: unknown };
  await refuseInside(out, model.folder.path, typeof folder === "string" ? folder : undefined);
  await refuseOtherContent(out);
  const store = folderStore(out);
  const origin = { glora: packageVersion(), node: process.version, cwd: process.cwd(), ...(!merge && { merge }) };
  const run = asRun(await fitInStore(model, data, { ...options, origin, store }), data, begun);
  const adapter = join(out, "adapter");
  const finished = (await store.read("result.json")) !== undefined;
  if (finished && (await contentOf(adapter)).length === 0) await run.save(adapter);
  return run;
}

export interface ResumeOptions extends Pick<FitOptions, "stopAfter" | "checkpointSeconds" | "signal" | "onProgress"> {
  /** A runtime that is there already, in place of a new one on the run's device. */
  readonly runtime?: Runtime;
}

/**
 * Goes on with an interrupted run, or one that was stopped after a phase, from its last checkpoint: it ends with the same
 * bits as one that was never interrupted. Model and data are opened from where the run found them; the caller disposes
 * `run.adapted.model.runtime`.
 *
 * @throws {GloraError} FILE if the folder holds no run; CONFIG if its data has changed; USAGE if its data came from a
 *   program: then call `fit` again with the same data, options and `out`
 */
export async function resume(path: string, o: ResumeOptions = {}): Promise<Run> {
  const { runtime, ...hooks } = o;
  const store = folderStore(path);
  const config = await runConfig(store, path);
  const from = placesOf(config);
  const { adapter, modelConfig, taskFitness, ...options } = config.options as StoredOptions;
  const data = await openData(await dataSource(store, path, from));
  const model = await openModel(config.model.path, {
    device: config.model.device as DeviceName,
    ...(runtime && { runtime }),
    ...(modelConfig !== undefined && { config: from(modelConfig) }),
    ...(config.model.imageSize && { imageSize: config.model.imageSize }),
  });
  try {
    return await fit(model, data, {
      ...options,
      ...(modelConfig !== undefined && { modelConfig }),
      ...(taskFitness && {
        taskFitness: {
          ...(await taskFitnessIn({ ...taskFitness, data: from(taskFitness.data) })),
          settings: taskFitness,
        },
      }),
      ...(adapter !== undefined && {
        adapter: { ...(await openAdapterPath(from(adapter))), name: adapter },
      }),
      ...hooks,
      merge: config.origin["merge"] !== false,
      out: path,
    });
  } catch (thrown) {
    if (!runtime) await model.runtime.dispose();
    throw thrown;
  }
}

/** Options as a run keeps them. */
interface StoredOptions {
  readonly adapter?: string;
  readonly modelConfig?: string;
  readonly taskFitness?: TaskFitnessSettings;
}

/** Tasks to rank candidates by, their data in a local folder. */
export const taskFitnessIn = async (settings: TaskFitnessSettings): Promise<TaskFitness> => ({
  settings,
  source: await localTasks(settings.data),
});

export interface SearchOptions extends ResumeOptions, Pick<FitOptions, "budget" | "search" | "further"> {
  /** Rank candidates by the accuracy of benchmark tasks, as `taskFitness` of `fit` does. */
  readonly taskFitness?: TaskFitnessSettings;
  /** A new run that takes the trained supernet over. Default: the run itself goes on. */
  readonly out?: string;
  /** Whether the result is to be merged. Default: as the run was begun; a new one is. */
  readonly merge?: boolean;
}

/**
 * Searches in the trained supernet of a run, with another budget or other settings where they are given, and goes on to
 * the end. With `out`, one supernet serves any number of searches. Settings that are refused leave run and `out` as they were.
 *
 * @throws {GloraError} USAGE if other settings are given and the run has already begun its search; and as {@link resume}
 */
export async function search(path: string, o: SearchOptions = {}): Promise<Run> {
  const { out, merge, budget, further, search: given, taskFitness: tasks, ...hooks } = o;
  const search = tasks ? { ...SEARCH_BY_TASKS, ...given } : given;
  const taskFitness = tasks && { ...tasks, data: resolvePath(tasks.data) };
  if (taskFitness) await fitnessQuestions(await taskFitnessIn(taskFitness)); // what is wrong with them is told first
  const asked = Object.entries({ budget, search, further, taskFitness }).filter(([, value]) => value !== undefined);
  const source = folderStore(path);
  const config = await runConfig(source, path);
  const plan = await storedPlan(source);
  if (plan && !plan.search)
    throw new GloraError("USAGE", `${path}: its preset leaves one structure; there is nothing to search.`, { path });
  if (out === undefined && asked.length === 0) return resume(path, hooks);
  if (out === undefined && (await source.read("search.jsonl")))
    throw new GloraError(
      "USAGE",
      `${path}: its search has begun already, with its own settings. Name a new folder (out) for one with others.`,
      { path },
    );
  if (out !== undefined && (await contentOf(out)).length > 0)
    throw new GloraError("FILE", `${out}: is not empty. Choose another folder for the new run.`, { out });

  const target = out === undefined ? source : folderStore(out);
  const before = await Promise.all(
    ["config.json", "plan.json"].map(async (file) => [file, await source.read(file)] as const),
  );
  if (out !== undefined) {
    const data = await dataSource(source, path, placesOf(config));
    await refuseInside(out, config.model.path, data.path === "digits" ? undefined : data.path);
    await copyTraining(source, target);
  }
  if (plan) await target.write("plan.json", `${JSON.stringify(withSearch(plan, { search, further }), null, 2)}\n`);
  await writeConfig(target, {
    ...config,
    options: { ...config.options, ...(Object.fromEntries(asked) as JsonObject) },
    origin: { ...config.origin, merge: merge ?? (out === undefined ? config.origin["merge"] : undefined) },
  });
  try {
    return await resume(out ?? path, hooks);
  } catch (thrown) {
    const refused = thrown instanceof GloraError && ["USAGE", "BUDGET"].includes(thrown.code);
    if (refused && !(await target.read("search.jsonl"))) {
      if (out !== undefined) await rm(out, { recursive: true });
      else for (const [file, bytes] of before) if (bytes) await source.write(file, bytes);
    }
    throw thrown;
  }
}

/** What the training of a supernet has left behind. */
async function copyTraining(source: RunStore, target: RunStore): Promise<void> {
  for (const file of ["data.json", "train.safetensors"]) {
    const bytes = await source.read(file);
    if (bytes) await target.write(file, bytes);
  }
  const log = (await readStored(source, "log.jsonl")) ?? "";
  const ofTraining = log.split("\n").filter((line) => line.startsWith('{"phase":"train"'));
  await target.write("log.jsonl", ofTraining.map((line) => `${line}\n`).join(""));
}

/** Where the run's relative paths start from. */
const placesOf =
  ({ origin }: RunConfig) =>
  (place: string): string =>
    resolvePath(String(origin["cwd"] ?? "."), place);

async function runConfig(store: RunStore, path: string): Promise<RunConfig> {
  await contentOf(path); // or a file in its place
  const config = await readConfig(store);
  if (config) return config;
  throw new GloraError("FILE", `${path}: holds no run (it has no config.json).`, { path });
}

/** How the run's data is opened again, from what it said of itself. */
async function dataSource(store: RunStore, path: string, from: (place: string) => string): Promise<DataSource> {
  const stored = await readDescription(store);
  if (stored === undefined) throw new GloraError("FILE", `${path}: is no whole run: it has no ${DATA}.`, { path });
  const description = new Fields(stored);
  const kind = description.has("kind") ? description.text("kind") : undefined;
  const read = { "image-folder": imagesOf, text: textOf, digits: () => ({ path: "digits" }) }[String(kind)];
  const source = read?.(description, from);
  throwProblems("CONFIG", fileOf(store, DATA), description.problems);
  if (source) return source;
  throw new GloraError(
    "USAGE",
    `${path}: its data was given by a program and cannot be opened from here. Call fit again with the same model, data, ` +
      "options and folder (out).",
    { path },
  );
}

function imagesOf(description: Fields, from: (place: string) => string): DataSource {
  const share = description.object("share");
  return {
    path: from(description.text("folder")),
    split: { validation: share.numbers("validation")[0]!, test: share.numbers("test")[0]! },
    seed: description.natural("seed", undefined, 0),
  };
}

const textOf = (description: Fields, from: (place: string) => string): DataSource => ({
  path: from(description.text("path")),
  ...(description.raw("options") as TextOptions),
});

/** Refuses a folder with something else in it. */
async function refuseOtherContent(out: string): Promise<void> {
  const files = await contentOf(out);
  // A run that was killed in its first moment has left no config yet.
  const foreign = files.filter((file) => file !== "data.json" && !file.startsWith("."));
  if (foreign.length === 0 || files.includes("config.json")) return;
  throw new GloraError("FILE", `${out}: is not empty and holds no run. Choose another folder for the run.`, { out });
}

/** @throws {GloraError} USAGE for a run that would lie among the files of its model, or become a class of its images */
export async function refuseInside(out: string, model: string | undefined, data: string | undefined): Promise<void> {
  for (const [what, folder] of Object.entries({ model, data }))
    if (folder !== undefined && (await liesIn(out, folder)))
      throw new GloraError(
        "USAGE",
        `${out}: the run cannot be kept in the folder of its ${what}, ${folder}. Choose another folder.`,
        { out, [what]: folder },
      );
}

function asRun(result: FitResult, data: Dataset, begun: Pick<Run, "folder" | "toMerge">): Run {
  const { adapted, genome } = result;
  const { model } = adapted;
  const requireStructure = (): void => {
    if (!genome)
      throw new GloraError("USAGE", "The fit stopped after training: no structure is chosen yet. Search one first.");
  };
  return {
    ...result,
    ...begun,
    async merge(out, o = {}) {
      requireStructure();
      return mergeModel(adapted, out, { ...o, inputs: await mergeInputs(model, data) });
    },
    async save(out) {
      requireStructure();
      const base = await describeBase(basename(resolvePath(model.name)), model.folder, model.checkpoint.files);
      const { parameters, plan, validation, test } = result;
      const scores = { validation: validation?.accuracy, test: test?.accuracy };
      await saveAdapter(out, toAdapter(adapted, { base, training: { data: data.name, parameters, ...scores, plan } }));
    },
  };
}
