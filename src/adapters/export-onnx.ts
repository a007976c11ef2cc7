/** Writes a model as the ONNX file that transformers.js loads, and any other ONNX runtime: standard operators alone. */
import type { WritableFolder } from "../formats/folder.js";
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
 * Writes `onnx/model.onnx`, with its weights in the types that they are stored in. Where they are more than `largest` bytes,
 * they lie beside it in `model.onnx_data`, `model.onnx_data_1`, …, each of at most as many (a larger tensor alone).
 *
 * @param model  from files of its own; inputs and outputs keep their names
 * @param root   where in the folder `onnx/` shall lie: "" or a path that ends in "/"
 * @returns what transformers.js must know to load it: `transformers.js_config`. Its own default type is q8 in browsers
 * @see transformers.js 4.3.1, src/utils/model-loader.js
 */
export async function writeOnnx(
  model: Model,
  folder: WritableFolder,
  root = "",
  largest = 1e9,
): Promise<Record<string, unknown>> {
  const path = `${root}onnx/${MODEL}`;
  const graph = portable(model);
  const outside = graph.initializers.flatMap(({ data }) => (data?.kind === "external" ? [data] : []));
  if (outside.reduce((sum, { length }) => sum + length, 0) <= largest) {
    const embedded = new Map<TensorData, Uint8Array>();
    for (const data of outside) embedded.set(data, await data.source.read(data.offset, data.length));
    await folder.write(path, encodeModel(graph, { name: model.family, embedded }));
    return { dtype: "fp32" };
  }
  const used = new Set<TensorData>(outside);
  const weights = [...model.weights].filter((entry): entry is [string, ExternalWeight] => used.has(entry[1].data));
  const files = dataFiles(weights, largest);
  for (const [i, file] of files.entries()) await folder.write(`${path}${suffix(i)}`, bytesOf(file));
  const moved = files.flatMap((file, i) =>
    file.map(({ name, weight, offset }): [string, Weight] => {
      // Read no more: what counts is the name by which the model finds its file.
      const source = { ...weight.data.source, name: `${MODEL}${suffix(i)}` };
      return [name, { ...weight, data: { ...weight.data, source, offset } }];
    }),
  );
  const bytes = encodeModel(portable(withWeights(model, new Map(moved))), {
    name: model.family,
    externalDataPath: ({ source }) => source.name,
  });
  await folder.write(path, bytes);
  return { dtype: "fp32", use_external_data_format: { [MODEL]: files.length } };
}

const suffix = (file: number): string => `_data${file === 0 ? "" : `_${file}`}`;

type ExternalWeight = Weight & { readonly data: External };

const portable = (model: Model): Graph => lowerFor("portable", servingGraph(model));

/** The graph that other programs run: the family's own, or the inputs and logits of the model. */
function servingGraph(model: Model): Graph {
  if (!model.serving) return adaptedGraph(model, { head: "frozen" });
  const g = createBuilder();
  model.serving(g, new Weights(g, model.weights));
  return g.graph;
}

interface Placed {
  readonly name: string;
  readonly weight: ExternalWeight;
  /** Byte of its file at which it begins. */
  readonly offset: number;
}

const endOf = ({ offset, weight }: Placed): number => offset + weight.data.length;

/** Divides weights among data files, in their order. */
function dataFiles(weights: readonly [string, ExternalWeight][], largest: number): Placed[][] {
  const files: Placed[][] = [];
  for (const [name, weight] of weights) {
    const last = files.at(-1)?.at(-1);
    const offset = last ? ALIGNMENT * Math.ceil(endOf(last) / ALIGNMENT) : 0;
    if (last && offset + weight.data.length <= largest) files.at(-1)!.push({ name, weight, offset });
    else files.push([{ name, weight, offset: 0 }]);
  }
  return files;
}

async function* bytesOf(file: readonly Placed[]): AsyncGenerator<Uint8Array> {
  let end = 0;
  for (const placed of file) {
    const { offset, weight } = placed;
    if (offset > end) yield new Uint8Array(offset - end);
    yield await weight.data.source.read(weight.data.offset, weight.data.length);
    end = endOf(placed);
  }
}
