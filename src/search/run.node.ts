/** Fits that live in a folder: config, plan, log, checkpoints, adapter and results; begun, interrupted, resumed. */
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { describeBase, saveAdapter } from "../adapters/adapter-file.node.js";
import { toAdapter } from "../adapters/attach.js";
import { type MergeOptions, type MergeResult, mergeModel } from "../adapters/export.node.js";
import { GloraError } from "../base/errors.js";
import type { Dataset } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { folderStore } from "../training/folder-store.node.js";
import { type FitOptions, type FitResult, fit as fitInStore } from "./fit.js";

export interface FitToFolderOptions extends Omit<FitOptions, "store"> {
  /** A new folder for the run: what is in it survives an interruption. Default: nothing is kept. */
  readonly out?: string;
}

/** A finished fit. */
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
 * @throws {GloraError} BUDGET, DATA or MODEL before anything runs; ABORTED after saving, when the signal is given
 */
export async function fit(model: Model, data: Dataset, o: FitToFolderOptions = {}): Promise<Run> {
  const { out, ...options } = o;
  if (out === undefined) return asRun(await fitInStore(model, data, options), data, undefined);
  const store = folderStore(out);
  await refuseOtherRun(out);
  const result = await fitInStore(model, data, { ...options, store });
  const run = asRun(result, data, out);
  const folder = join(out, "adapter");
  if (!(await exists(folder))) await run.save(folder);
  return run;
}

/** Refuses a folder with something else in it: a run's own files it takes as a run to go on with. */
async function refuseOtherRun(out: string): Promise<void> {
  const files: readonly string[] = await readdir(out).catch(() => []);
  if (files.length === 0 || files.includes("config.json") || files.includes("plan.json")) return;
  throw new GloraError("FILE", `${out}: is not empty and holds no run. Choose another folder for the run.`, { out });
}

const exists = async (folder: string): Promise<boolean> => (await readdir(folder).catch(() => [])).length > 0;

/** How many examples base, adapted and merged model are compared on. */
const COMPARED = 16;

function asRun(result: FitResult, data: Dataset, folder: string | undefined): Run {
  const { adapted } = result;
  const { model } = adapted;
  return {
    ...result,
    folder,
    async merge(out, o = {}) {
      const splits = await data.prepare(model.input);
      const split = splits.validation.size > 0 ? splits.validation : splits.train;
      const inputs = await split.inputs(Array.from({ length: Math.min(COMPARED, split.size) }, (_, i) => i));
      return mergeModel(adapted, out, { ...o, inputs });
    },
    async save(out) {
      const base = await describeBase(basename(resolve(model.name)), model.folder, model.checkpoint.files);
      const { parameters, plan, validation, test } = result;
      const scores = { validation: validation?.accuracy, test: test?.accuracy };
      await saveAdapter(out, toAdapter(adapted, { base, training: { data: data.name, parameters, ...scores, plan } }));
    },
  };
}
