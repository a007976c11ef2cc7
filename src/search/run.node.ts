/** Fits that live in a folder: config, plan, log, checkpoints, adapter and results; begun, interrupted, resumed. */
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, resolve as resolvePath } from "node:path";
import { openAdapter } from "../adapters/adapter-file.js";
import { describeBase, saveAdapter } from "../adapters/adapter-file.node.js";
import { toAdapter } from "../adapters/attach.js";
import { type MergeOptions, type MergeResult, mergeModel } from "../adapters/export.node.js";
import { GloraError } from "../base/errors.js";
import type { Dataset } from "../data/dataset.js";
import { type DataSource, openData } from "../data/open.node.js";
import { openFolder } from "../formats/folder.node.js";
import type { Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import type { DeviceName, Runtime } from "../runtime/runtime.js";
import { folderStore } from "../training/folder-store.node.js";
import type { RunStore } from "../training/store.js";
import { type FitOptions, type FitResult, fit as fitInStore } from "./fit.js";
import { type Json, type RunConfig, readConfig, readDescription, writeConfig } from "./run-config.js";

export interface FitToFolderOptions extends Omit<FitOptions, "store" | "origin"> {
  /**
   * A folder for the run: what is in it survives an interruption. New, or that of a run with the same settings, which goes
   * on. Default: nothing is kept.
   */
  readonly out?: string;
}

/** A fit that has come to its end, or to where it was to stop. */
export interface Run extends FitResult {
  /** The run's folder, if it has one. */
  readonly folder: string | undefined;
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
  const { out, ...options } = o;
  if (out === undefined) return asRun(await fitInStore(model, data, options), data, undefined);
  await refuseOtherContent(out);
  const origin = { glora: version(), node: process.version, cwd: process.cwd() };
  const run = asRun(await fitInStore(model, data, { ...options, origin, store: folderStore(out) }), data, out);
  const adapter = join(out, "adapter");
  if (run.test ?? run.validation ?? (run.genome && !o.stopAfter))
    if (!(await exists(adapter))) await run.save(adapter);
  return run;
}

export interface ResumeOptions extends Pick<FitOptions, "stopAfter" | "checkpointSeconds" | "signal" | "onEvent"> {
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
  const from = (place: string) => resolvePath(String(config.origin["cwd"] ?? "."), place);
  const { adapter, modelConfig, ...options } = config.options as { adapter?: string; modelConfig?: string };
  const data = await openData(await dataSource(store, path, from));
  const model = await openModel(config.model.path, {
    device: config.model.device as DeviceName,
    ...(runtime && { runtime }),
    ...(modelConfig !== undefined && { config: from(modelConfig) }),
  });
  try {
    return await fit(model, data, {
      ...options,
      ...(modelConfig !== undefined && { modelConfig }),
      ...(adapter !== undefined && { adapter: { ...(await openAdapter(await openFolder(from(adapter)))), name: adapter } }),
      ...hooks,
      out: path,
    });
  } catch (thrown) {
    if (!runtime) await model.runtime.dispose();
    throw thrown;
  }
}

export interface SearchOptions extends ResumeOptions, Pick<FitOptions, "budget" | "search" | "further"> {
  /** A new run that takes the trained supernet over. Default: the run itself goes on. */
  readonly out?: string;
}

/**
 * Searches in the trained supernet of a run, with another budget or other settings where they are given, and goes on to
 * the end. With `out`, one supernet serves any number of searches.
 *
 * @throws {GloraError} USAGE if other settings are given and the run has already begun its search; and as {@link resume}
 */
export async function search(path: string, o: SearchOptions = {}): Promise<Run> {
  const { out, budget, search, further, ...hooks } = o;
  const config = await runConfig(folderStore(path), path);
  const given = { budget, search, further };
  const asked = Object.entries(given).filter(([, value]) => value !== undefined) as [string, Json][];
  if (out === undefined && asked.length === 0) return resume(path, hooks);

  const source = folderStore(path);
  if (out === undefined && (await source.read("search.jsonl")))
    throw new GloraError(
      "USAGE",
      `${path}: has begun its search already, with its own settings. Give a new folder (out) for a search with others.`,
      { path },
    );
  const target = out === undefined ? source : folderStore(out);
  if (out !== undefined && (await exists(out)))
    throw new GloraError("FILE", `${out}: is not empty. Choose another folder for the new run.`, { out });
  await planAnew(source, target, given);
  if (out !== undefined) for (const file of ["data.json", "train.safetensors"]) await copy(source, target, file);
  await writeConfig(target, { ...config, options: { ...config.options, ...Object.fromEntries(asked) } });
  return resume(out ?? path, hooks);
}
