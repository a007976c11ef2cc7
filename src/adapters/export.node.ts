/** Writes a merged model as a folder that timm or transformers opens, with an ONNX file that transformers.js opens. */
import { mkdir, realpath, rm } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import type { Dtype } from "../formats/dtype.js";
import { openFile } from "../formats/file.node.js";
import { type FloatDtype, fromFloat32 } from "../formats/float.js";
import { openFolder, writeFileAtomic, writeFolderAtomic } from "../formats/folder.node.js";
import { readFloat32, readSafetensors, type TensorEntry } from "../formats/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../formats/safetensors-file.node.js";
import { encodeModel } from "../ir/codec.js";
import type { TensorData, Value } from "../ir/graph.js";
import type { ExportSpec, Model } from "../models/model.js";
import { openModelFolder } from "../models/open.js";
import { toPreprocessorConfig } from "../models/preprocessing.js";
import { weightsOf } from "../models/weights.js";
import { lowerFor } from "../passes/lower.js";
import { adaptedGraph } from "./adapted-graph.js";
import type { AdaptedModel } from "./adapted-model.js";
import {
  addsBiases,
  checkMerge,
  logitsOf,
  type MergedTensor,
  type MergeReport,
  mergedTensors,
  relativeDifference,
  withWeights,
} from "./merge-model.js";

export interface MergeOptions {
  /** Real inputs, on which base, adapted and merged model are compared. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Type in which the merged weights are stored. Default: the base's own. */
  readonly dtype?: FloatDtype;
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

/**
 * Merges an adapted model into a new folder: same names, types and shards as the base, its config and preprocessor files
 * beside them, and `onnx/model.onnx` (for a timm model in a sub-folder of its own). The base is read again from its own
 * weights; merged and adapted are compared before anything is kept.
 *
 * @throws {GloraError} USAGE if `out` is the base's folder; MERGE if the outputs disagree: no folder is left behind
 */
export async function mergeModel(adapted: AdaptedModel, out: string, o: MergeOptions): Promise<MergeResult> {
  const { model } = adapted;
  await refuseOwnFolder(model, out);
  const spec = model.exportSpec({ labels: model.labels, addedBiases: addsBiases(adapted) });
  let result: MergeResult | undefined;
  await writeFolderAtomic(out, async (folder) => {
    const wide = join(folder, "merged.float32.safetensors");
    const tensors: MergedTensor[] = [];
    for await (const tensor of mergedTensors(adapted)) tensors.push(tensor);
    await writeSafetensors(
      wide,
      tensors.map(({ name, shape, values }) => ({ name, shape, dtype: "F32" as const, data: bytesOf(values) })),
    );
    const entries = (await readSafetensors(await openFile(wide))).tensors;
    const merged = weightsOf({ tensors: entries, files: [] });
    const report = await checkMerge(adapted, merged, o.inputs);

    await writeWeights(model, entries, spec, folder, o.dtype);
    await writeJson(join(folder, "config.json"), spec.config);
    const { config: preprocessor, departure } = toPreprocessorConfig(model.input);
    await writeJson(join(folder, "preprocessor_config.json"), preprocessor);

    const written = await openModelFolder(await openFolder(folder), model.runtime);
    const graph = (m: Model) => adaptedGraph(m, { head: "frozen" });
    const exact = withWeights(model, merged);
    const storage = relativeDifference(
      await logitsOf(written, graph(written), o.inputs),
      await logitsOf(exact, graph(exact), o.inputs),
    );
    const onnxFolder = await writeOnnx(written, spec, folder, preprocessor);
    await rm(wide);
    result = {
      report,
      storage,
      onnxFolder: onnxFolder === folder ? out : join(out, onnxFolder.slice(folder.length + 1)),
      notes: departure === undefined ? [] : [departure],
    };
  });
  return result!;
}

/** A file that is mapped must not change: a shortened one kills the process. */
async function refuseOwnFolder(model: Model, out: string): Promise<void> {
  const own = model.folder.path;
  if (own === undefined) return;
  const target = await realpath(out).catch(() => resolve(out));
  if (target === own || target.startsWith(own + sep))
    throw new GloraError(
      "USAGE",
      `${out}: the merged model cannot be written into the folder of its base. Choose another.`,
      {
        out,
      },
    );
}

/** The base's files with the merged tensors in place of its own; new tensors go into the last file. */
async function writeWeights(
  model: Model,
  merged: ReadonlyMap<string, TensorEntry>,
  spec: ExportSpec,
  folder: string,
  dtype: FloatDtype | undefined,
): Promise<void> {
  const { tensors, files, index } = model.checkpoint;
  const rename = spec.rename ?? ((name: string) => name);
  // A base head of another size is not written; its replacement is among the merged tensors.
  const dropped = (name: string) => !merged.has(name) && isOldHead(model, name);
  const perFile = new Map<string, TensorToWrite[]>(files.map((file) => [file, []]));
  const base = [...tensors.values()];
  const fileOf = (entry: TensorEntry) => files.find((file) => entry.source.name.endsWith(file)) ?? files[0]!;
  const usual = mostCommonFloat(base);
  for (const entry of base) {
    if (dropped(entry.name)) continue;
    const replaced = merged.get(entry.name);
    perFile.get(fileOf(entry))!.push(written(rename(entry.name), replaced ?? entry, dtype ?? asFloat(entry.dtype)));
  }
  for (const entry of merged.values())
    if (!tensors.has(entry.name)) perFile.get(files.at(-1)!)!.push(written(rename(entry.name), entry, dtype ?? usual));
  const metadata = { format: "pt" };
  for (const [file, list] of perFile) await writeSafetensors(join(folder, file), list, metadata);
  if (index === undefined) return;
  const weightMap = Object.fromEntries([...perFile].flatMap(([file, list]) => list.map(({ name }) => [name, file])));
  await writeJson(join(folder, index), { metadata: {}, weight_map: weightMap });
}

const isOldHead = (model: Model, name: string): boolean =>
  model.head !== undefined && !model.head.pretrained && name.startsWith(`${model.head.name}.`);

/** A tensor of the output: copied where its type stays, converted otherwise, when its turn comes. */
function written(name: string, entry: TensorEntry, dtype: FloatDtype | undefined): TensorToWrite {
  const { shape } = entry;
  if (dtype === undefined || dtype === entry.dtype) return { name, shape, dtype: entry.dtype, data: entry };
  return { name, shape, dtype, data: async () => fromFloat32(await readFloat32(entry), dtype) };
}

const asFloat = (dtype: Dtype): FloatDtype | undefined =>
  dtype === "F32" || dtype === "F16" || dtype === "BF16" ? dtype : undefined;

function mostCommonFloat(entries: readonly TensorEntry[]): FloatDtype {
  const count = (dtype: FloatDtype) => entries.filter((entry) => entry.dtype === dtype).length;
  return (["F32", "F16", "BF16"] as const).reduce((a, b) => (count(b) > count(a) ? b : a));
}

/** The layout of transformers.js. Its default type in browsers is q8, so the config says that this one is fp32. */
async function writeOnnx(
  model: Model,
  spec: ExportSpec,
  folder: string,
  preprocessor: Readonly<Record<string, unknown>>,
): Promise<string> {
  const own = spec.library !== "transformers";
  const root = own ? join(folder, "transformers.js") : folder;
  await mkdir(join(root, "onnx"), { recursive: true });
  const graph = lowerFor("portable", adaptedGraph(model, { head: "frozen" }));
  const embedded = new Map<TensorData, Uint8Array>();
  for (const { data } of graph.initializers as readonly Value[])
    if (data?.kind === "external") embedded.set(data, await data.source.read(data.offset, data.length));
  await writeFileAtomic(join(root, "onnx", "model.onnx"), encodeModel(graph, { name: model.family, embedded }));
  const config = own ? spec.onnxConfig : spec.config;
  await writeJson(join(root, "config.json"), { ...config, "transformers.js_config": { dtype: "fp32" } });
  if (own) await writeJson(join(root, "preprocessor_config.json"), preprocessor);
  return root;
}

const writeJson = (path: string, json: unknown): Promise<void> =>
  writeFileAtomic(path, `${JSON.stringify(json, null, 2)}\n`);

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
