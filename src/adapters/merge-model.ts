/** A whole adapted model folded into plain weights, and the proof that it is still the same function. */
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import type { Graph } from "../ir/graph.js";
import type { Model } from "../models/model.js";
import { readWeight, type Weight } from "../models/weights.js";
import { splitProducts } from "../passes/split-products.js";
import { adaptedGraph } from "./adapted-graph.js";
import { type AdaptedModel, trainableFeeds } from "./adapted-model.js";
import { mergeLinear } from "./merge.js";
import { type Genome, type LayerShape, NO_CHANGE, SUPPORTS } from "./structure.js";

/** A weight of the merged model. */
interface MergedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** In float32, computed when it is asked for. */
  values(): Promise<Float32Array>;
}

/** Whether any layer of the adapter needs a bias that the base has not. */
export const addsBiases = ({ space, genome }: AdaptedModel): boolean =>
  space.layers.some((layer) => !layer.bias && hasPrompt(genome, layer));

const hasPrompt = (genome: Genome | undefined, { name }: LayerShape): boolean => {
  const { C, E } = genome?.get(name) ?? NO_CHANGE;
  return C !== "none" || E !== "none";
};

/**
 * The weights that differ from the base, layer by layer: W' and b' of adapted layers, zeros for biases that the config's
 * flag adds beside them, and the head.
 *
 * @throws {GloraError} MERGE if a layer needs a bias that the config cannot say; `values` throws it for a merged value that
 *   is not finite
 */
export function mergedTensors(adapted: AdaptedModel): MergedTensor[] {
  const { model, genome, parameters, table, space } = adapted;
  if (!genome) throw new GloraError("MERGE", "A supernet has no one structure to merge: search one first.");
  const refused = space.layers.filter((layer) => !layer.bias && !layer.addableBias && hasPrompt(genome, layer));
  if (refused.length > 0)
    throw new GloraError(
      "MERGE",
      `C or E acts on layers that have no bias, and the model's config cannot say that one is added: ` +
        `${refused.map((layer) => layer.name).join(", ")}. Train without C and E on them, or run the adapter unmerged.`,
      { layers: refused.map((layer) => layer.name) },
    );

  const biases = addsBiases(adapted);
  // A layer's weight and bias come from one computation, and are asked for one after the other.
  const mergeLayer = keepLast(async (layer: LayerShape) => {
    const W = await readWeight(model.weights.get(`${layer.name}.weight`)!);
    const b = model.weights.get(`${layer.name}.bias`);
    const frozen = b ? { W, b: await readWeight(b) } : { W };
    return mergeLinear(layer, frozen, genome.get(layer.name)!, parameters, table);
  });
  const tensors = model.layers.flatMap((layer): MergedTensor[] => {
    const { name, in: width, out } = layer;
    const added = biases && !layer.bias && layer.addableBias;
    const structure = genome.get(name) ?? NO_CHANGE;
    const unchanged = SUPPORTS.every((support) => structure[support] === "none");
    const weight: MergedTensor = {
      name: `${name}.weight`,
      shape: [out, width],
      values: async () => (await mergeLayer(layer)).W,
    };
    const bias: MergedTensor = {
      name: `${name}.bias`,
      shape: [out],
      values: async () => (unchanged ? undefined : (await mergeLayer(layer)).b) ?? new Float32Array(out),
    };
    if (unchanged) return added ? [bias] : [];
    return layer.bias || added ? [weight, bias] : [weight];
  });
  const merged = new Set(tensors.map(({ name }) => name));
  const replaced = [...(model.changed ?? []), ...(adapted.replaced ?? [])].filter(([name]) => !merged.has(name));
  return [
    ...tensors,
    ...replaced.map(
      ([name, weight]): MergedTensor => ({ name, shape: weight.shape, values: () => readWeight(weight) }),
    ),
    ...adapted.tensors.slice(table.tensors.length).map(
      ({ name, shape, offset, length }): MergedTensor => ({
        name,
        shape,
        values: async () => parameters.slice(offset, offset + length),
      }),
    ),
  ];
}

/** The function, with the result of its last call kept. */
function keepLast<A, R>(f: (argument: A) => R): (argument: A) => R {
  let last: { readonly argument: A; readonly result: R } | undefined;
  return (argument) => {
    if (last?.argument !== argument) last = { argument, result: f(argument) };
    return last.result;
  };
}

/** The plain model: the base's graph with other weights. */
export const withWeights = (model: Model, changed: ReadonlyMap<string, Weight>): Model => ({
  ...model,
  weights: new Map([...model.weights, ...changed]),
});

/** Largest differences, each relative to the largest value of the adapted model's. */
export interface MergeReport {
  readonly examples: number;
  /** max|Δ| / max|adapted| of the logits, and the limit it was held to. */
  readonly logits: number;
  readonly logitsLimit: number;
  /** The base's own logits against themselves with every product's sums in another order: rounding alone. */
  readonly rounding: number;
  /** For each adapted layer on the activations that reach it. */
  readonly layers: readonly { readonly name: string; readonly difference: number }[];
  readonly layerLimit: number;
}

/** A single layer's limit; correct merges measure below 1e-6. */
const LAYER_LIMIT = 1e-5;

/**
 * Runs base, adapted and merged model on real inputs and compares them in float32.
 *
 * @param merged  what {@link mergedTensors} gives, not yet rounded to another type
 * @throws {GloraError} MERGE if a layer differs by more than 1e-5 of its largest output, or the logits by more than
 *   max(1e-4, 30 × what summing the base's own products in another order changes)
 */
export async function checkMerge(
  adapted: AdaptedModel,
  merged: ReadonlyMap<string, Weight>,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<MergeReport> {
  const { model, layout } = adapted;
  const plain = withWeights(model, merged);
  const observed: string[] = [];
  const graph = adaptedGraph(model, {
    layout,
    head: "trainable",
    observe: (g, layer, input, output) => {
      const weight = (name: string) => {
        const found = merged.get(name) ?? model.weights.get(name);
        return found && g.initializer(`merged.${name}`, found.shape, found.data, "float32");
      };
      const plainOutput = g.linear(input, weight(`${layer}.weight`)!, weight(`${layer}.bias`));
      g.output(`difference.${layer}`, g.reduceMax(g.abs(g.sub(output, plainOutput))));
      g.output(`largest.${layer}`, g.reduceMax(g.abs(output)));
      observed.push(layer);
    },
  });
  const outputs = await runOnce(model, graph, { ...inputs, ...trainableFeeds(adapted) });
  const adaptedLogits = resultOf(outputs);
  const mergedLogits = await logitsOf(plain, adaptedGraph(plain, { head: "frozen" }), inputs);
  const rounding = await baseRounding(model, inputs);

  const scalar = (name: string): number => outputs[name]!.data[0] as number;
  const layers = observed.map((name) => ({
    name,
    difference: ratio(scalar(`difference.${name}`), scalar(`largest.${name}`)),
  }));
  const logits = relativeDifference(mergedLogits, adaptedLogits);
  const report: MergeReport = {
    examples: Object.values(inputs)[0]!.shape[0]!,
    logits,
    logitsLimit: Math.max(1e-4, 30 * rounding),
    rounding,
    layers,
    layerLimit: LAYER_LIMIT,
  };
  const wrong = layers.filter(({ difference }) => !(difference <= LAYER_LIMIT));
  if (wrong.length > 0 || !(logits <= report.logitsLimit))
    throw new GloraError(
      "MERGE",
      `The merged model is not the adapted one: logits differ by ${logits.toExponential(1)} of the largest (limit ` +
        `${report.logitsLimit.toExponential(1)})${wrong.map((l) => `, ${l.name} by ${l.difference.toExponential(1)} (limit 1e-5)`).join("")}. ` +
        "Nothing was written. Please report this with the adapter.",
      { report },
    );
  return report;
}

/** How far the base's features move when its products are summed in another order. */
async function baseRounding(model: Model, inputs: Readonly<Record<string, Tensor>>): Promise<number> {
  const graph = adaptedGraph(model, { head: model.head?.pretrained ? "frozen" : "none" });
  const [once, again] = [await logitsOf(model, graph, inputs), await logitsOf(model, splitProducts(graph), inputs)];
  return relativeDifference(again, once);
}

export async function logitsOf(
  model: Model,
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Float32Array> {
  return resultOf(await runOnce(model, graph, inputs));
}

/** The logits, or the features of a model without a head. */
const resultOf = (outputs: Readonly<Record<string, Tensor>>): Float32Array =>
  (outputs["logits"] ?? outputs["features"])!.data as Float32Array;

async function runOnce(model: Model, graph: Graph, feeds: Readonly<Record<string, Tensor>>) {
  const session = await model.runtime.open(graph, { name: "merge check" });
  try {
    return await session.run(feeds);
  } finally {
    await session.dispose();
  }
}

/** max|a − b| / max|b|, infinite where a value is not finite. */
export function relativeDifference(a: Float32Array, b: Float32Array): number {
  let [difference, largest] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    const delta = Math.abs(a[i]! - b[i]!);
    if (!Number.isFinite(delta)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, delta);
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return ratio(difference, largest);
}

const ratio = (difference: number, largest: number): number => (difference === 0 ? 0 : difference / largest);
