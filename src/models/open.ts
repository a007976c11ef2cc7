/** Opens a pretrained model's folder, whatever its family. A new family is a folder beside this file and a line here. */
import { GloraError } from "../base/errors.js";
import { openTokenizer } from "../data/text/open-tokenizer.js";
import type { Tokenizer } from "../data/text/tokenizer.js";
import { openCheckpoint } from "../formats/checkpoint.js";
import { type Folder, readJson } from "../formats/folder.js";
import type { Runtime } from "../runtime/runtime.js";
import { bertTypes, openBert } from "./bert/bert.js";
import { LLAMA_FAMILIES } from "./llama/config.js";
import { openLlama } from "./llama/llama.js";
import type { Model } from "./model.js";
import type { ModelParts } from "./parts.js";
import { missingConfig } from "./vit/config.js";
import { openVit } from "./vit/vit.js";

export interface OpenModelOptions {
  /** What config.json would say, for a folder that has none; and the name of where it stands, for messages. */
  readonly config?: { readonly json: unknown; readonly file: string };
}

type OpenFamily = (parts: ModelParts) => Model | Promise<Model>;

/** Families by the `model_type` of their configs. One that names none is a ViT: timm's, or told by its facts alone. */
const FAMILIES: ReadonlyMap<unknown, OpenFamily> = new Map<unknown, OpenFamily>([
  ["vit", openVit],
  ...LLAMA_FAMILIES.map((type) => [type, openLlama] as const),
  ...bertTypes.map((type) => [type, openBert] as const),
]);

/**
 * @throws {GloraError} FILE, CONFIG or MODEL: a file that is missing or not valid, an architecture that is not known,
 *   weights that do not fit their config
 */
export async function openModelFolder(folder: Folder, runtime: Runtime, o: OpenModelOptions = {}): Promise<Model> {
  const checkpoint = await openCheckpoint(folder);
  const given = o.config ?? (await configOf(folder));
  const rawConfig = given.json as Readonly<Record<string, unknown>>;
  const type: unknown = rawConfig?.["model_type"] ?? "vit";
  const open = FAMILIES.get(type);
  if (!open)
    throw new GloraError(
      "MODEL",
      `${given.file}: model_type ${JSON.stringify(type)} is not supported. Known: ${[...FAMILIES.keys()].join(", ")}.`,
      { file: given.file, modelType: type },
    );
  let tokenizer: Promise<Tokenizer> | undefined;
  return open({
    folder,
    checkpoint,
    rawConfig,
    file: given.file,
    runtime,
    tokenizer: () => {
      tokenizer ??= openTokenizer(folder);
      return tokenizer;
    },
  });
}

async function configOf(folder: Folder): Promise<{ json: unknown; file: string }> {
  if (!(await folder.open("config.json"))) throw missingConfig(folder.name);
  const json = await readJson(folder, "config.json");
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new GloraError("CONFIG", `${folder.name}/config.json: a JSON object is expected.`, { folder: folder.name });
  return { json, file: `${folder.name}/config.json` };
}
