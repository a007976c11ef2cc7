/** Opens a pretrained model's folder, whatever its family. A new family is a folder beside this file and a case here. */
import { GloraError } from "../base/errors.js";
import { openCheckpoint } from "../formats/checkpoint.js";
import { type Folder, readJson } from "../formats/folder.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Model } from "./model.js";
import { imagePreprocessing } from "./preprocessing.js";
import { missingConfig, parseVitConfig } from "./vit/config.js";
import { vitLibraryOf } from "./vit/names.js";
import { openVit } from "./vit/vit.js";

export interface OpenModelOptions {
  /** What config.json would say, for a folder that has none; and the name of where it stands, for messages. */
  readonly config?: { readonly json: unknown; readonly file: string };
}

/**
 * @throws {GloraError} FILE, CONFIG or MODEL: a file that is missing or not valid, an architecture that is not known,
 *   weights that do not fit their config
 */
export async function openModelFolder(folder: Folder, runtime: Runtime, o: OpenModelOptions = {}): Promise<Model> {
  const checkpoint = await openCheckpoint(folder);
  const given = o.config ?? (await configOf(folder));
  const config = parseVitConfig(given.json, given.file, vitLibraryOf(checkpoint.tensors));
  const preprocessor = (await folder.open("preprocessor_config.json"))
    ? { preprocessor: await readJson(folder, "preprocessor_config.json") }
    : {};
  const input = imagePreprocessing({ config: given.json, ...preprocessor }, config, folder.name);
  const rawConfig = given.json as Readonly<Record<string, unknown>>;
  return openVit({ folder, checkpoint, config, rawConfig, input, runtime });
}

async function configOf(folder: Folder): Promise<{ json: unknown; file: string }> {
  if (!(await folder.open("config.json"))) throw missingConfig(folder.name);
  const json = await readJson(folder, "config.json");
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new GloraError("CONFIG", `${folder.name}/config.json: a JSON object is expected.`, { folder: folder.name });
  return { json, file: `${folder.name}/config.json` };
}
