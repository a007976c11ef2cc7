/** Opens a pretrained model's folder, whatever its family. A new family is a folder beside this file and a line here. */
import { GloraError } from "../base/errors.js";
import { openTokenizer } from "../data/text/open-tokenizer.js";
import type { Tokenizer } from "../data/text/tokenizer.js";
import { type Checkpoint, openCheckpoint } from "../formats/checkpoint.js";
import type { Size } from "../formats/fields.js";
import { type Folder, readJson } from "../formats/folder.js";
import type { Runtime } from "../runtime/runtime.js";
import { bertTypes, openBert } from "./bert/bert.js";
import { LLAMA_FAMILIES } from "./llama/config.js";
import { openLlama } from "./llama/llama.js";
import type { Model } from "./model.js";
import type { LabelSet, ModelParts } from "./parts.js";
import { missingConfig } from "./vit/config.js";
import { TRANSFORMERS_VITS } from "./vit/config-transformers.js";
import { type ConfigOfFile, fromJax, isJaxVit } from "./vit/jax.js";
import { openVit } from "./vit/vit.js";

export interface OpenModelOptions {
  /** What config.json would say, for a folder that has none, or in its place; and where it stands. */
  readonly config?: ConfigOfFile;
  /** Of a ViT: the size of images that it is wanted for; position embeddings are resampled. Default: the model's own. */
  readonly imageSize?: Size;
  /** Names of the classes of ImageNet-1k, for timm's models, whose configs do not state them. Default: they have none. */
  readonly labelNames?: (set: LabelSet) => Promise<readonly string[]>;
}

type OpenFamily = (parts: ModelParts) => Model | Promise<Model>;

/** Families by the `model_type` of their configs. One that names none is a ViT: timm's, or told by its facts alone. */
const FAMILIES: ReadonlyMap<unknown, OpenFamily> = new Map<unknown, OpenFamily>([
  ...TRANSFORMERS_VITS.map((type) => [type, openVit] as const),
  ...LLAMA_FAMILIES.map((type) => [type, openLlama] as const),
  ...bertTypes.map((type) => [type, openBert] as const),
]);

/**
 * @throws {GloraError} FILE, CONFIG or MODEL: a file that is missing or not valid, an architecture that is not known,
 *   weights that do not fit their config
 */
export async function openModelFolder(folder: Folder, runtime: Runtime, o: OpenModelOptions = {}): Promise<Model> {
  const { checkpoint, config: given } = await checkpointAndConfig(folder, o.config);
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
  const model = await open({
    folder,
    checkpoint,
    rawConfig,
    file: given.file,
    runtime,
    ...(o.imageSize && { imageSize: o.imageSize }),
    ...(o.labelNames && { labelNames: o.labelNames }),
    tokenizer: () => {
      tokenizer ??= openTokenizer(folder);
      return tokenizer;
    },
  });
  if (o.imageSize && model.input.kind !== "image")
    throw new GloraError("USAGE", `imageSize: ${model.name} takes no images. Leave it out.`, { model: model.name });
  return model;
}

/** The weights, and what is said of them: by the caller, by config.json, or by an original JAX checkpoint's own shapes. */
async function checkpointAndConfig(
  folder: Folder,
  given: ConfigOfFile | undefined,
): Promise<{ checkpoint: Checkpoint; config: ConfigOfFile }> {
  const checkpoint = await openCheckpoint(folder);
  const config = given ?? (await configOf(folder));
  if (isJaxVit(checkpoint)) return fromJax(checkpoint, config, folder.name);
  if (config === undefined) throw missingConfig(folder.name);
  return { checkpoint, config };
}

async function configOf(folder: Folder): Promise<ConfigOfFile | undefined> {
  if (!(await folder.open("config.json"))) return undefined;
  const json = await readJson(folder, "config.json");
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new GloraError("CONFIG", `${folder.name}/config.json: a JSON object is expected.`, { folder: folder.name });
  return { json, file: `${folder.name}/config.json` };
}
