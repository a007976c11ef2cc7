import { GloraError } from "../base/errors.js";
import { toFloat32 } from "../base/float.js";
import { type Folder, readJson } from "./folder.js";
import { readNpz } from "./npz.js";
import { readBytes, readSafetensors, type TensorEntry } from "./safetensors.js";
import type { ByteSource } from "./source.js";
import { readTorch } from "./torch.js";
import { madeEntry } from "./view.js";

/** The weights of a model's folder. A tensor looks the same whatever file it comes from. */
export interface Checkpoint {
  /** Of all files, in the order of `files`, then of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Names of the files that hold weights, in order. */
  readonly files: readonly string[];
  /** Name of the file that says which shard holds which tensor, where there are shards. */
  readonly index?: string;
  /** What of the files is not used, or not as it is stored: sentences for people. */
  readonly notes: readonly string[];
}

type Tensors = ReadonlyMap<string, TensorEntry>;

const WEIGHTS = "model.safetensors";

/** Names that libraries give to weights, and how the files are called that an index may name. The first that is there holds. */
const LIBRARIES = [
  { whole: WEIGHTS, index: "model.safetensors.index.json", shard: ".safetensors" },
  { whole: "pytorch_model.bin", index: "pytorch_model.bin.index.json", shard: ".bin" },
];

/** Readers by the ends of names. */
const READERS: Readonly<
  Record<string, (source: ByteSource) => Promise<{ readonly tensors: Tensors; readonly notes?: readonly string[] }>>
> = {
  ".safetensors": readSafetensors,
  ".bin": readTorch,
  ".pth": readTorch,
  ".pt": readTorch,
  ".npz": async (source) => ({ tensors: await readNpz(source) }),
};

const readerOf = (file: string) => Object.entries(READERS).find(([end]) => file.endsWith(end))?.[1];

/** Whether a file's name is that of weights that can be read, or of an index of such. */
export const isWeights = (file: string): boolean =>
  readerOf(file) !== undefined || LIBRARIES.some(({ index }) => index === file);

/** For messages: ends of the names of weights. */
export const WEIGHT_ENDINGS: string = Object.keys(READERS).join(", ");

/**
 * Opens the weights of a folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names;
 * `pytorch_model.bin` or its shards; or else the only file of weights in it, whatever its name. Only headers are read.
 * Tensors of float64 are rounded to float32 when they are asked for, as PyTorch does where it computes in float32.
 * @throws {GloraError} "FILE" if there are no weights, or several files without an index (with what to do), or a file of
 *   them is not valid
 */
export async function openCheckpoint(folder: Folder): Promise<Checkpoint> {
  for (const { whole, index, shard } of LIBRARIES) {
    const source = await folder.open(whole);
    if (source !== undefined) return openWhole(whole, source);
    if ((await folder.open(index)) !== undefined) return openShards(folder, index, shard);
  }
  const files = (await folder.list()).filter((file) => readerOf(file) !== undefined);
  const source = files.length === 1 ? await folder.open(files[0]!) : undefined;
  if (source === undefined) throw await noWeights(folder, files);
  return openWhole(files[0]!, source);
}

async function openWhole(file: string, source: ByteSource): Promise<Checkpoint> {
  const { tensors, notes = [] } = await readerOf(file)!(source);
  return narrowed({ tensors, files: [file], notes }, source.name);
}

async function openShards(folder: Folder, index: string, end: string): Promise<Checkpoint> {
  const shardOf = parseIndex(await readJson(folder, index), `${folder.name}/${index}`, end);
  const files = [...new Set(shardOf.values())].sort();
  const tensors = new Map<string, TensorEntry>();
  const notes: string[] = [];
  const elsewhere: string[] = [];
  for (const file of files) {
    const source = await folder.open(file);
    if (source === undefined) {
      throw new GloraError("FILE", `${folder.name}: ${index} names ${file}, which is missing. Fetch it too.`, { file });
    }
    const shard = await readerOf(file)!(source);
    notes.push(...(shard.notes ?? []));
    for (const [name, entry] of shard.tensors) {
      // The index decides between two shards that hold the same name; a tensor that it forgets is taken all the same.
      if (tensors.has(name) && !shardOf.has(name)) {
        throw new GloraError(
          "FILE",
          `${folder.name}: two shards hold ${JSON.stringify(name)}, and ${index} names none.`,
        );
      }
      if ((shardOf.get(name) ?? file) === file) tensors.set(name, entry);
      else elsewhere.push(`${name} in ${file}`);
    }
  }
  const lost = [...shardOf].filter(([name]) => !tensors.has(name));
  if (lost.length > 0) {
    const list = lost.slice(0, 5).map(([name, file]) => `${JSON.stringify(name)} in ${file}`);
    throw new GloraError(
      "FILE",
      `${folder.name}: ${index} names ${lost.length} tensor(s) that their file lacks: ${list.join(", ")}${lost.length > 5 ? ", …" : ""}.`,
      { tensors: lost.map(([name]) => name) },
    );
  }
  const checkpoint = withoutTensors({ tensors, files, index, notes }, folder.name, elsewhere);
  return narrowed(checkpoint, folder.name);
}

/** The checkpoint, with a note that these of its tensors are not used, and why where that is not plain. */
export function withoutTensors(checkpoint: Checkpoint, file: string, unused: readonly string[], why = ""): Checkpoint {
  if (unused.length === 0) return checkpoint;
  const more = unused.length > 4 ? ` and ${unused.length - 4} more` : "";
  const note = `${file}: these tensors are not used: ${unused.slice(0, 4).join(", ")}${more}.${why && ` ${why}`}`;
  return { ...checkpoint, notes: [...checkpoint.notes, note] };
}

function narrowed(checkpoint: Checkpoint, file: string): Checkpoint {
  const doubles = [...checkpoint.tensors.values()].filter(({ dtype }) => dtype === "F64").length;
  if (doubles === 0) return checkpoint;
  const tensors = new Map([...checkpoint.tensors].map(([name, entry]) => [name, asSingle(entry)]));
  const note = `${file}: ${doubles} tensor${doubles === 1 ? " is" : "s are"} stored as float64 and rounded to float32.`;
  return { ...checkpoint, tensors, notes: [...checkpoint.notes, note] };
}

const asSingle = (entry: TensorEntry): TensorEntry =>
  entry.dtype !== "F64"
    ? entry
    : madeEntry({ ...entry, dtype: "F32" }, entry.source.name, async () => {
        const { buffer } = toFloat32(await readBytes(entry), "F64");
        return new Uint8Array(buffer);
      });

/** Tensor name → shard. Everything but the strings in weight_map is ignored: indexes in the wild carry other things too. */
function parseIndex(index: unknown, file: string, end: string): Map<string, string> {
  const map = typeof index === "object" && index !== null && "weight_map" in index ? index.weight_map : undefined;
  const entries = Object.entries(typeof map === "object" && map !== null ? map : {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  if (entries.length === 0) {
    throw new GloraError("FILE", `${file}: has no weight_map from tensor names to file names.`, { file });
  }
  const outside = entries.find(([, shard]) => !/^[^/\\]+$/.test(shard) || !shard.endsWith(end));
  if (outside !== undefined) {
    throw new GloraError(
      "FILE",
      `${file}: ${JSON.stringify(outside[1])} is not the name of a ${end} file in the same folder.`,
      { file, shard: outside[1] },
    );
  }
  return new Map(entries);
}

async function noWeights(folder: Folder, files: readonly string[]): Promise<GloraError> {
  if (files.length > 1) {
    return new GloraError(
      "FILE",
      `${folder.name}: holds ${files.length} files of weights, ${files.slice(0, 5).join(", ")}${files.length > 5 ? ", …" : ""}, ` +
        `and none is called ${WEIGHTS}. Give the path of the one that is meant in place of the folder's.`,
      { folder: folder.name, files },
    );
  }
  const other = (await folder.list()).filter((file) => /\.(ckpt|h5|msgpack|onnx|gguf|tflite)$/.test(file));
  const found =
    other.length === 0
      ? ""
      : ` Found ${other.slice(0, 5).join(", ")}: convert them in Python, with model.save_pretrained(folder) of transformers ` +
        `or safetensors.torch.save_file(state_dict, "${WEIGHTS}").`;
  return new GloraError(
    "FILE",
    `${folder.name}: has no ${WEIGHTS} and no other file of weights (${WEIGHT_ENDINGS}).${found}`,
    {
      folder: folder.name,
      files: other,
    },
  );
}
