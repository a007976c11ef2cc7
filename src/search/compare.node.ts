/** A comparison that lives in a folder: what is in it survives an interruption. */
import { join } from "node:path";
import { GloraError } from "../base/errors.js";
import type { Dataset } from "../data/dataset.js";
import { contentOf } from "../formats/folder.node.js";
import type { Model } from "../models/model.js";
import { folderStore } from "../training/folder-store.node.js";
import { type CompareOptions, type Comparison, compareMethods } from "./compare.js";
import { COMPARISON } from "./compare-log.js";
import { fit, refuseInside } from "./run.node.js";

export interface CompareInFolderOptions extends Omit<CompareOptions, "store" | "fit"> {
  /** A folder for the comparison. New, or that of one with the same settings, which goes on. */
  readonly out: string;
}

/**
 * Compares methods; every trial is a run in `out`/trials, with its adapter.
 *
 * @throws {GloraError} FILE if the folder holds something else; USAGE if it is the model's; and as {@link compareMethods}
 */
export async function compareInFolder(
  model: Model,
  data: readonly Dataset[],
  { out, ...o }: CompareInFolderOptions,
): Promise<Comparison> {
  await refuseInside(out, model.folder.path, undefined);
  const files = (await contentOf(out)).filter((file) => file !== "data.json" && !file.startsWith("."));
  if (files.length > 0 && !files.includes(COMPARISON))
    throw new GloraError("FILE", `${out}: is not empty and holds no comparison. Choose another folder for it.`, {
      out,
    });
  return compareMethods(model, data, {
    ...o,
    store: folderStore(out),
    fit: (base, set, options, trial) => fit(base, set, { ...options, out: join(out, "trials", trial) }),
  });
}
