/** Writes a merged model to disk. */
import { join, sep } from "node:path";
import { GloraError } from "../base/errors.js";
import { openWritableFolder, realTarget, writeFolderAtomic } from "../formats/folder.node.js";
import type { Model } from "../models/model.js";
import type { AdaptedModel } from "./adapted-model.js";
import { type Merged, type MergeOptions, writeMerged } from "./export.js";

export interface MergeResult extends Merged {
  /** The folder that transformers.js loads: the merged one itself, or a folder inside it. */
  readonly onnxFolder: string;
}

/**
 * Merges an adapted model into a new folder: same names, types and shards as the base (as .safetensors, whatever the
 * base's files are), its config and preprocessor files beside them, and `onnx/model.onnx` (for a timm model in a sub-folder
 * of its own). The base is read again from its own weights; merged and adapted are compared before anything is kept.
 *
 *     const { report, storage } = await mergeModel(adapted, "flowers-vit", { inputs });
 *
 * @param out  must not exist, or be an empty folder
 * @throws {GloraError} USAGE if `out` is the base's folder, FILE if it is not empty or cannot be written; MERGE if a layer
 *   needs a bias that the config cannot say, a value is not finite, or the outputs disagree. No folder is left behind
 */
export async function mergeModel(adapted: AdaptedModel, out: string, o: MergeOptions): Promise<MergeResult> {
  const target = await realTarget(out);
  refuseOwnFolder(adapted.model, target, out);
  let merged: Merged | undefined;
  await writeFolderAtomic(target, async (folder) => {
    merged = await writeMerged(adapted, await openWritableFolder(folder), o);
  });
  return { ...merged!, onnxFolder: join(out, merged!.onnxFolder) };
}

/** A file that is mapped must not change: a shortened one kills the process. */
function refuseOwnFolder({ folder }: Model, target: string, out: string): void {
  if (folder.path === undefined || !`${target}${sep}`.startsWith(`${folder.path}${sep}`)) return;
  throw new GloraError(
    "USAGE",
    `${out}: the merged model cannot be written into the folder of its base, ${folder.path}. Choose another folder.`,
    { out, base: folder.path },
  );
}
