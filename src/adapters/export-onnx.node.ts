/** Writes a model as the ONNX file that transformers.js loads, and any other ONNX runtime: standard operators alone. */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { openFile } from "../formats/file.node.js";
import { writeFileAtomic } from "../formats/folder.node.js";
import { encodeModel } from "../ir/codec.js";
import type { Graph, TensorData } from "../ir/graph.js";
import type { Model } from "../models/model.js";
import { type Weight, Weights } from "../models/weights.js";
import { createBuilder } from "../ops/index.js";
import { lowerFor } from "../passes/lower.js";
import { adaptedGraph } from "./adapted-graph.js";
import { withWeights } from "./merge-model.js";

const MODEL = "model.onnx";

type External = TensorData & { kind: "external" };

/** Weights begin at multiples of this many bytes, so that they can be used where they are mapped. */
const ALIGNMENT = 64;

/**
 * Writes `model.onnx`, with its weights in the types that they are stored in. Where they are more than `largest` bytes,
 * they lie beside it in `model.onnx_data`, `model.onnx_data_1`, …, each of at most as many (a larger tensor alone).
 *
 * @param model   from files of its own; inputs and outputs keep their names
 * @param folder  is there
 * @returns what transformers.js must know to load it: `transformers.js_config`. Its own default type is q8 in browsers
 * @see transformers.js 4.3.1, src/utils/model-loader.js
 */
export async function writeOnnx(model: Model, folder: string, largest = 1e9): Promise<Record<string, unknown>> {
  const graph = portable(model);
  const outside = graph.initializers.flatMap(({ data }) => (data?.kind === "external" ? [data] : []));
  if (outside.reduce((sum, { length }) => sum + length, 0) <= largest) {
    const embedded = new Map<TensorData, Uint8Array>();
    for (const data of outside) embedded.set(data, await data.source.read(data.offset, data.length));
    await writeFileAtomic(join(folder, MODEL), encodeModel(graph, { name: model.family, embedded }));
    return { dtype: "fp32" };
  }
  const used = new Set<TensorData>(outside);
  const weights = [...model.weights].filter((entry): entry is [string, ExternalWeight] => used.has(entry[1].data));
  const { moved, files } = await moveWeights(weights, folder, largest);
  const bytes = encodeModel(portable(withWeights(model, moved)), {
    name: model.family,
    externalDataPath: ({ source }) => source.name,
  });
  await writeFileAtomic(join(folder, MODEL), bytes);
  return { dtype: "fp32", use_external_data_format: { [MODEL]: files } };
}

type ExternalWeight = Weight & { readonly data: External };

const portable = (model: Model): Graph => lowerFor("portable", servingGraph(model));

/** The graph that other programs run: the family's own, or the inputs and logits of the model. */
function servingGraph(model: Model): Graph {
  if (!model.serving) return adaptedGraph(model, { head: "frozen" });
  const g = createBuilder();
  model.serving(g, new Weights(g, model.weights));
  return g.graph;
}

/** Copies weights into data files, and says where each then lies. */
async function moveWeights(weights: readonly [string, ExternalWeight][], folder: string, largest: number) {
  const places: { weight: string; file: number; offset: number }[] = [];
  const names: string[] = [];
  let file: FileHandle | undefined;
  let end = 0;
  try {
    for (const [weight, { data }] of weights) {
      let padding = -end & (ALIGNMENT - 1);
      if (!file || end + padding + data.length > largest) {
        await file?.close();
        names.push(`${MODEL}_data${names.length === 0 ? "" : `_${names.length}`}`);
        file = await open(join(folder, names.at(-1)!), "w");
        [padding, end] = [0, 0];
      }
      await file.writeFile(new Uint8Array(padding));
      await file.writeFile(await data.source.read(data.offset, data.length));
      places.push({ weight, file: names.length - 1, offset: end + padding });
      end += padding + data.length;
    }
  } finally {
    await file?.close();
  }
  const sources = await Promise.all(names.map((name) => openFile(join(folder, name), name)));
  const old = new Map(weights);
  const moved = places.map(({ weight, file, offset }): [string, Weight] => {
    const { shape, data } = old.get(weight)!;
    return [weight, { shape, data: { ...data, source: sources[file]!, offset } }];
  });
  return { moved: new Map(moved), files: names.length };
}
