import { GloraError } from "../base/errors.js";
import { type Folder, readJson } from "./folder.js";
import { readSafetensors, type TensorEntry } from "./safetensors.js";

/** The weights of a model's folder. */
export interface Checkpoint {
  /** Of all files, in the order of `files`, then of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Names of the files that hold weights, in order. */
  readonly files: readonly string[];
  /** Name of the file that says which shard holds which tensor, where there are shards. */
  readonly index?: string;
}

const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/**
 * Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names. Only headers are read.
 * @throws {GloraError} "FILE" if there are no such weights (with what to do), or a file of them is not valid
 */
export async function openCheckpoint(folder: Folder): Promise<Checkpoint> {
  const whole = await folder.open(WEIGHTS);
  if (whole !== undefined) return { tensors: (await readSafetensors(whole)).tensors, files: [WEIGHTS] };
  if ((await folder.open(INDEX)) === undefined) throw await noWeights(folder);

  const shardOf = parseIndex(await readJson(folder, INDEX), `${folder.name}/${INDEX}`);
  const files = [...new Set(shardOf.values())].sort();
  const tensors = new Map<string, TensorEntry>();
  for (const file of files) {
    const source = await folder.open(file);
    if (source === undefined) {
      throw new GloraError("FILE", `${folder.name}: ${INDEX} names ${file}, which is missing. Fetch it too.`, { file });
    }
    for (const [name, entry] of (await readSafetensors(source)).tensors) {
      // The index decides between two shards that hold the same name; a tensor that it forgets is taken all the same.
      if (tensors.has(name) && !shardOf.has(name)) {
        throw new GloraError(
          "FILE",
          `${folder.name}: two shards hold ${JSON.stringify(name)}, and ${INDEX} names none.`,
        );
      }
      if ((shardOf.get(name) ?? file) === file) tensors.set(name, entry);
    }
  }
  const lost = [...shardOf].filter(([name]) => !tensors.has(name));
  if (lost.length > 0) {
    const list = lost.slice(0, 5).map(([name, file]) => `${JSON.stringify(name)} in ${file}`);
    throw new GloraError(
      "FILE",
      `${folder.name}: ${INDEX} names ${lost.length} tensor(s) that their file lacks: ${list.join(", ")}${lost.length > 5 ? ", …" : ""}.`,
      { tensors: lost.map(([name]) => name) },
    );
  }
  return { tensors, files, index: INDEX };
}

/** Tensor name → shard. Everything but the strings in weight_map is ignored: indexes in the wild carry other things too. */
function parseIndex(index: unknown, file: string): Map<string, string> {
  const map = typeof index === "object" && index !== null && "weight_map" in index ? index.weight_map : undefined;
  const entries = Object.entries(typeof map === "object" && map !== null ? map : {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  if (entries.length === 0) {
    throw new GloraError("FILE", `${file}: has no weight_map from tensor names to file names.`, { file });
  }
  const outside = entries.find(([, shard]) => !/^[^/\\]+\.safetensors$/.test(shard));
  if (outside !== undefined) {
    throw new GloraError(
      "FILE",
      `${file}: ${JSON.stringify(outside[1])} is not the name of a .safetensors file in the same folder.`,
      { file, shard: outside[1] },
    );
  }
  return new Map(entries);
}

async function noWeights(folder: Folder): Promise<GloraError> {
  const files = await folder.list();
  const other = files.filter((file) => /\.(safetensors|bin|pth?|ckpt|npz|h5|msgpack|onnx|gguf)$/.test(file));
  const found = other.length === 0 ? "" : ` Found ${other.slice(0, 5).join(", ")}: `;
  const advice = other.some((file) => file.endsWith(".safetensors"))
    ? `rename the weights to ${WEIGHTS}.`
    : `convert them in Python, with model.save_pretrained(folder) of transformers or safetensors.torch.save_file(state_dict, "${WEIGHTS}").`;
  return new GloraError("FILE", `${folder.name}: has no ${WEIGHTS} and no ${INDEX}.${found && found + advice}`, {
    folder: folder.name,
    files: other,
  });
}
