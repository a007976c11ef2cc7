/** A merged model as a folder that timm or transformers opens, with an ONNX file that transformers.js opens. */
import { GloraError } from "../base/errors.js";
import { fromFloat32 } from "../base/float.js";
import type { Tensor } from "../base/tensor.js";
import type { Checkpoint } from "../formats/checkpoint.js";
import { byteLength, type Dtype } from "../formats/dtype.js";
import { writableFilesFolder } from "../formats/files-folder.js";
import type { WritableFolder } from "../formats/folder.js";
import { readFloat32, readSafetensors, type TensorEntry } from "../formats/safetensors.js";
import { layoutSafetensors, safetensorsChunks, type TensorToWrite } from "../formats/safetensors-writer.js";
import type { ExportSpec, Model } from "../models/model.js";
import { openModelFolder } from "../models/open.js";
import { toPreprocessorConfig } from "../models/preprocessing.js";
import { weightsOf } from "../models/weights.js";
import { adaptedGraph } from "./adapted-graph.js";
import type { AdaptedModel } from "./adapted-model.js";
import { writeOnnx } from "./export-onnx.js";
import {
  addsBiases,
  checkMerge,
  logitsOf,
  type MergeReport,
  mergedTensors,
  relativeDifference,
  withWeights,
} from "./merge-model.js";

/** Types in which the weights of a model are stored. */
type StoredDtype = "F32" | "F16" | "BF16";

export interface MergeOptions {
  /** Real inputs, on which base, adapted and merged model are compared; what may be left out of them may be left out. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Type in which all weights are stored. Default: each in the base's own. */
  readonly dtype?: StoredDtype;
  /**
   * Bytes of weights that the ONNX file holds at most; more lie beside it, in files of at most as many bytes. Default: 1 GB
   * (the format's limit is 2 GB, and what the file holds is in memory while it is written).
   */
  readonly largestOnnxFile?: number;
}

export interface Merged {
  readonly report: MergeReport;
  /** max|Δ| / max of the logits that storing in the written types costs; not an error of merging. */
  readonly storage: number;
  /** What transformers.js loads: a folder inside the merged one, or "." for itself. */
  readonly onnxFolder: string;
  /** What a written file could only say approximately. */
  readonly notes: readonly string[];
}

export interface MergedFiles extends Merged {
  /** The folder's files by their paths in it. */
  readonly files: ReadonlyMap<string, Blob>;
}

/** Where the ONNX file of a model lies whose own config.json transformers.js cannot read. */
const ONNX_FOLDER = "transformers-js";

/** Files of the base that go with its weights wherever they go. */
const LEGAL = /^(licen[cs]e|notice|copying)([.-].*)?$/i;
/** How sentence-transformers makes an embedding of tokens. */
const POOLING = "1_Pooling/config.json";
/** A text model also keeps its tokenizer, its chat template and how it is told to write. */
const BESIDE_TEXT =
  /^((licen[cs]e|notice|copying)([.-].*)?|tokenizer\.(json|model)|(tokenizer|generation|special_tokens_map|sentence_bert|config_sentence_transformers)(_config)?\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.(jinja|json)|modules\.json)$/i;

/**
 * Merges an adapted model into files in memory: what `mergeModel` writes to disk.
 *
 *     const { files } = await mergedFiles(run.adapted, { inputs: await mergeInputs(run.adapted.model, data) });
 *
 * @throws {GloraError} MERGE as {@link writeMerged}
 */
export async function mergedFiles(adapted: AdaptedModel, o: MergeOptions): Promise<MergedFiles> {
  const files = new Map<string, Blob>();
  return { ...(await writeMerged(adapted, writableFilesFolder("merged", files), o)), files };
}

/**
 * Merges an adapted model into an empty folder: same names, types and shards as the base (as .safetensors, whatever the
 * base's files are), its config and preprocessor files beside them, and `onnx/model.onnx` (for a timm model in a sub-folder of its own). The base is read again from its own
 * weights; merged and adapted are compared before the result is said to be one.
 *
 * @throws {GloraError} MERGE if a layer needs a bias that the config cannot say, a value is not finite, or the outputs
 *   disagree: the folder is then not whole
 */
export async function writeMerged(adapted: AdaptedModel, folder: WritableFolder, o: MergeOptions): Promise<Merged> {
  const { model } = adapted;
  const inputs = model.feeds(o.inputs);
  const tensors = mergedTensors(adapted);
  const spec = model.exportSpec({ addedBiases: addsBiases(adapted), ...(o.dtype && { dtype: o.dtype }) });
  const image = model.input.kind === "image" ? toPreprocessorConfig(model.input) : undefined;

  // The merged weights in float32, beside the folder's own files until all is compared.
  await writeTensors(
    folder,
    WIDE,
    tensors.map(({ name, shape, values }) => ({
      name,
      shape,
      dtype: "F32",
      data: async () => bytesOf(await values()),
    })),
  );
  const merged = (await readSafetensors((await folder.open(WIDE))!)).tensors;
  const exact = withWeights(model, weightsOf({ tensors: merged }));
  const report = await checkMerge(adapted, exact.weights, inputs);

  await writeWeights(model, merged, spec, folder, o.dtype);
  await writeJson(folder, "config.json", spec.config);
  if (image) await writeJson(folder, "preprocessor_config.json", image.config);
  await copyFiles(model, folder, image ? LEGAL : BESIDE_TEXT);
  // Read as anybody reads it.
  const written = await openModelFolder(folder, model.runtime);
  const logits = (m: Model) => logitsOf(m, adaptedGraph(m, { head: "frozen" }), inputs);
  const storage = relativeDifference(await logits(written), await logits(exact));
  await folder.remove(WIDE);

  const root = spec.onnxConfig ? `${ONNX_FOLDER}/` : "";
  const loading = await writeOnnx(written, folder, root, o.largestOnnxFile);
  await writeJson(folder, `${root}config.json`, {
    ...(spec.onnxConfig ?? spec.config),
    "transformers.js_config": loading,
  });
  if (spec.onnxConfig && image) await writeJson(folder, `${root}preprocessor_config.json`, image.config);
  return {
    report,
    storage,
    onnxFolder: spec.onnxConfig ? ONNX_FOLDER : ".",
    notes: image?.departure === undefined ? [] : [image.departure],
  };
}

const WIDE = "merged.float32.safetensors";

const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/** What a file of the base is called in the merged folder: a shard keeps its name, less what says PyTorch's own format. */
const writtenName = (file: string, { index }: Checkpoint): string =>
  index === undefined ? WEIGHTS : file.replace(/^(?:pytorch_)?(.*)\.bin$/, "$1.safetensors");

/** The base's files as .safetensors, with the merged tensors in place of its own; new tensors go into the last file. */
async function writeWeights(
  { checkpoint }: Model,
  merged: ReadonlyMap<string, TensorEntry>,
  { rename = (name) => name }: ExportSpec,
  folder: WritableFolder,
  dtype: StoredDtype | undefined,
): Promise<void> {
  const { tensors, files, index } = checkpoint;
  const perFile = new Map(files.map((file): [string, TensorToWrite[]] => [writtenName(file, checkpoint), []]));
  const add = (file: string, entry: TensorEntry, stored: Dtype): void => {
    const name = rename(entry.name);
    const list = perFile.get(writtenName(file, checkpoint))!;
    if (name !== undefined) list.push(toWrite(name, entry, dtype && isFloat(stored) ? dtype : stored));
  };
  for (const entry of tensors.values()) add(fileOf(entry), merged.get(entry.name) ?? entry, entry.dtype);
  const usual = mostCommonFloat([...tensors.values()]);
  for (const entry of merged.values()) if (!tensors.has(entry.name)) add(files.at(-1)!, entry, usual);

  for (const [file, list] of perFile) await writeTensors(folder, file, list, { format: "pt" });
  if (index === undefined) return;
  const written = [...perFile].flatMap(([file, list]) => list.map((tensor) => ({ file, ...tensor })));
  await writeJson(folder, INDEX, {
    metadata: { total_size: written.reduce((sum, tensor) => sum + byteLength(tensor.dtype, tensor.shape), 0) },
    weight_map: Object.fromEntries(written.map(({ name, file }) => [name, file])),
  });
}

const fileOf = ({ source }: TensorEntry): string => source.name.split(/[/\\]/).at(-1)!;

const isFloat = (dtype: Dtype): dtype is StoredDtype => dtype === "F32" || dtype === "F16" || dtype === "BF16";

function mostCommonFloat(entries: readonly TensorEntry[]): StoredDtype {
  const count = (dtype: StoredDtype) => entries.filter((entry) => entry.dtype === dtype).length;
  return (["F32", "F16", "BF16"] as const).reduce((a, b) => (count(b) > count(a) ? b : a));
}

/** A tensor of the output: copied where its type stays, converted otherwise, when its turn comes. */
function toWrite(name: string, entry: TensorEntry, dtype: Dtype): TensorToWrite {
  const { shape } = entry;
  if (dtype === entry.dtype || !isFloat(dtype)) return { name, shape, dtype: entry.dtype, data: entry };
  return {
    name,
    shape,
    dtype,
    data: async () => {
      const values = await readFloat32(entry);
      const at = values.findIndex((value) => Math.abs(value) >= OVERFLOW[dtype]);
      if (at < 0) return fromFloat32(values, dtype);
      throw new GloraError(
        "MERGE",
        `${name} holds ${values[at]} at element ${at}, which ${dtype} cannot hold. Store the merged model as F32.`,
        { tensor: name, dtype },
      );
    },
  };
}

/** The smallest numbers that a type rounds to infinity. */
const OVERFLOW: Readonly<Record<StoredDtype, number>> = {
  F32: Number.POSITIVE_INFINITY,
  F16: 65520,
  BF16: (2 - 2 ** -8) * 2 ** 127,
};

async function copyFiles({ folder }: Model, target: WritableFolder, names: RegExp): Promise<void> {
  for (const file of [...(await folder.list()).filter((name) => names.test(name)), POOLING]) {
    const source = await folder.open(file);
    if (source) await target.write(file, await source.read(0, source.size));
  }
}

const writeTensors = (
  folder: WritableFolder,
  file: string,
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Promise<void> => folder.write(file, safetensorsChunks(layoutSafetensors(tensors, metadata)));

const writeJson = (folder: WritableFolder, file: string, json: unknown): Promise<void> =>
  folder.write(file, `${JSON.stringify(json, null, 2)}\n`);

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
