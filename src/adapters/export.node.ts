/** Writes a merged model as a folder that timm or transformers opens, with an ONNX file that transformers.js opens. */
import { mkdir, rm } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import { byteLength, type Dtype } from "../formats/dtype.js";
import { openFile } from "../formats/file.node.js";
import { fromFloat32 } from "../formats/float.js";
import { openFolder, realTarget, writeFileAtomic, writeFolderAtomic } from "../formats/folder.node.js";
import { readFloat32, readSafetensors, type TensorEntry } from "../formats/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../formats/safetensors-file.node.js";
import type { ExportSpec, Model } from "../models/model.js";
import { openModelFolder } from "../models/open.js";
import { toPreprocessorConfig } from "../models/preprocessing.js";
import { weightsOf } from "../models/weights.js";
import { adaptedGraph } from "./adapted-graph.js";
import type { AdaptedModel } from "./adapted-model.js";
import { writeOnnx } from "./export-onnx.node.js";
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

export interface MergeResult {
  readonly report: MergeReport;
  /** max|Δ| / max of the logits that storing in the written types costs; not an error of merging. */
  readonly storage: number;
  /** The folder that transformers.js loads: the merged one itself, or a folder inside it. */
  readonly onnxFolder: string;
  /** What a written file could only say approximately. */
  readonly notes: readonly string[];
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
 * Merges an adapted model into a new folder: same names, types and shards as the base, its config and preprocessor files
 * beside them, and `onnx/model.onnx` (for a timm model in a sub-folder of its own). The base is read again from its own
 * weights; merged and adapted are compared before anything is kept.
 *
 *     const { report, storage } = await mergeModel(adapted, "flowers-vit", { inputs });
 *
 * @param out  must not exist, or be an empty folder
 * @throws {GloraError} USAGE if `out` is the base's folder, FILE if it is not empty or cannot be written; MERGE if a layer
 *   needs a bias that the config cannot say, a value is not finite, or the outputs disagree. No folder is left behind
 */
export async function mergeModel(adapted: AdaptedModel, out: string, o: MergeOptions): Promise<MergeResult> {
  const { model } = adapted;
  const inputs = model.feeds(o.inputs);
  const target = await realTarget(out);
  refuseOwnFolder(model, target, out);
  const tensors = mergedTensors(adapted);
  const spec = model.exportSpec({ addedBiases: addsBiases(adapted), ...(o.dtype && { dtype: o.dtype }) });
  const image = model.input.kind === "image" ? toPreprocessorConfig(model.input) : undefined;
  const onnxFolder = spec.onnxConfig ? ONNX_FOLDER : ".";
  let checked: Pick<MergeResult, "report" | "storage"> | undefined;
  await writeFolderAtomic(target, async (folder) => {
    // The merged weights in float32, beside the folder's own files until all is compared.
    const wide = join(folder, "merged.float32.safetensors");
    await writeSafetensors(
      wide,
      tensors.map(({ name, shape, values }) => ({
        name,
        shape,
        dtype: "F32",
        data: async () => bytesOf(await values()),
      })),
    );
    const merged = (await readSafetensors(await openFile(wide))).tensors;
    const exact = withWeights(model, weightsOf({ tensors: merged, files: [] }));
    const report = await checkMerge(adapted, exact.weights, inputs);

    await writeWeights(model, merged, spec, folder, o.dtype);
    await writeJson(join(folder, "config.json"), spec.config);
    if (image) await writeJson(join(folder, "preprocessor_config.json"), image.config);
    await copyFiles(model, folder, image ? LEGAL : BESIDE_TEXT);
    // Read as anybody reads it.
    const written = await openModelFolder(await openFolder(folder), model.runtime);
    const logits = (m: Model) => logitsOf(m, adaptedGraph(m, { head: "frozen" }), inputs);
    checked = { report, storage: relativeDifference(await logits(written), await logits(exact)) };
    await rm(wide);

    const root = join(folder, onnxFolder);
    await mkdir(join(root, "onnx"), { recursive: true });
    const loading = await writeOnnx(written, join(root, "onnx"), o.largestOnnxFile);
    await writeJson(join(root, "config.json"), {
      ...(spec.onnxConfig ?? spec.config),
      "transformers.js_config": loading,
    });
    if (spec.onnxConfig && image) await writeJson(join(root, "preprocessor_config.json"), image.config);
  });
  return {
    ...checked!,
    onnxFolder: join(out, onnxFolder),
    notes: image?.departure === undefined ? [] : [image.departure],
  };
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

/** The base's files with the merged tensors in place of its own; new tensors go into the last file. */
async function writeWeights(
  { checkpoint: { tensors, files, index } }: Model,
  merged: ReadonlyMap<string, TensorEntry>,
  { rename = (name) => name }: ExportSpec,
  folder: string,
  dtype: StoredDtype | undefined,
): Promise<void> {
  const perFile = new Map(files.map((file): [string, TensorToWrite[]] => [file, []]));
  const add = (file: string, entry: TensorEntry, stored: Dtype): void => {
    const name = rename(entry.name);
    if (name !== undefined) perFile.get(file)!.push(toWrite(name, entry, dtype && isFloat(stored) ? dtype : stored));
  };
  for (const entry of tensors.values()) add(basename(entry.source.name), merged.get(entry.name) ?? entry, entry.dtype);
  const usual = mostCommonFloat([...tensors.values()]);
  for (const entry of merged.values()) if (!tensors.has(entry.name)) add(files.at(-1)!, entry, usual);

  for (const [file, list] of perFile) await writeSafetensors(join(folder, file), list, { format: "pt" });
  if (index === undefined) return;
  const written = [...perFile].flatMap(([file, list]) => list.map((tensor) => ({ file, ...tensor })));
  await writeJson(join(folder, index), {
    metadata: { total_size: written.reduce((sum, tensor) => sum + byteLength(tensor.dtype, tensor.shape), 0) },
    weight_map: Object.fromEntries(written.map(({ name, file }) => [name, file])),
  });
}

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

async function copyFiles({ folder }: Model, target: string, names: RegExp): Promise<void> {
  for (const file of [...(await folder.list()).filter((name) => names.test(name)), POOLING]) {
    const source = await folder.open(file);
    if (!source) continue;
    await mkdir(dirname(join(target, file)), { recursive: true });
    await writeFileAtomic(join(target, file), await source.read(0, source.size));
  }
}

const writeJson = (path: string, json: unknown): Promise<void> =>
  writeFileAtomic(path, `${JSON.stringify(json, null, 2)}\n`);

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
