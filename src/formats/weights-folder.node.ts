import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { GloraError } from "../base/errors.js";
import { isWeights, WEIGHT_ENDINGS } from "./checkpoint.js";
import type { Folder } from "./folder.js";
import { openFolder } from "./folder.node.js";

/**
 * The folder at a path; or, where a file of weights is there, its folder with that file as the only one of weights.
 * @throws {GloraError} "FILE" if there is neither
 */
export async function openWeightsFolder(path: string): Promise<Folder> {
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile) return openFolder(path);
  const own = basename(path);
  if (!isWeights(own) || own.endsWith(".json")) {
    throw new GloraError("FILE", `${path}: is not a model's folder, nor a file of weights (${WEIGHT_ENDINGS}).`, {
      file: path,
    });
  }
  const folder = await openFolder(dirname(path));
  const isHidden = (file: string): boolean => file !== own && isWeights(file);
  return {
    name: path,
    // Not the path behind a symbolic link, which may have another name: with this one it can be opened again.
    path: join(await realpath(dirname(path)), own),
    list: async () => (await folder.list()).filter((file) => !isHidden(file)),
    open: async (file) => (isHidden(file) ? undefined : folder.open(file)),
  };
}
