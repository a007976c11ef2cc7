/**
 * The graph of a model with adapted layers: forward pass, loss and gradients, with everything trainable in one packed
 * input and its gradient in one packed output.
 */
import { gradientsOf } from "../autodiff/backward.js";
import type { Builder } from "../ir/builder.js";
import { size } from "../ir/dim.js";
import type { Graph, Value } from "../ir/graph.js";
import { crossEntropy, type Loss, meanSquaredError } from "../models/loss.js";
import { applyHead, type Model } from "../models/model.js";
import { Weights } from "../models/weights.js";
import { createBuilder } from "../ops/index.js";
import type { EffectiveLayout, SegmentName } from "./effective.js";
import { type AdaptedLayer, adaptLinears, type Observe } from "./emit.js";

/** Names of the graph's inputs beside the model's own. */
export const INPUTS = {
  /** float32 [n]: the effective tensors of all layers, then the head's weight and bias. */
  trainable: "trainable",
  /** bool [2·layers that choose]: A is low-rank, C is drawn. */
  choices: "choices",
  /** int32 [batch] */
  labels: "labels",
  /** float32 [batch, outputs], for the mean squared error. */
  targets: "targets",
  /** float32 [batch]: weight of each example in the loss. */
  exampleWeights: "example_weights",
  /** float32 [residual branches, batch] */
  dropPath: "drop_path",
} as const;

export interface AdaptedGraphOptions {
  /** Where the effective tensors lie in the packed input; absent: no layer is adapted. */
  readonly layout?: EffectiveLayout;
  /** Head: its weights in the packed input, those of the checkpoint, or no head (features are the output). */
  readonly head: "trainable" | "frozen" | "none";
  readonly loss?: { readonly kind: Loss; readonly smoothing?: number };
  /** The packed gradient of the loss as an output. */
  readonly gradients?: boolean;
  readonly dropPath?: boolean;
  /** Weights of the checkpoint whose gradients are outputs too, `grad.<name>`. */
  readonly weightGradients?: (name: string) => boolean;
  readonly observe?: Observe;
}

/**
 * Builds the graph. Outputs: `logits` (or `features`), and as asked for `loss`, `gradients`, `grad.<weight>`.
 */
export function adaptedGraph(model: Model, o: AdaptedGraphOptions): Graph {
  const g = createBuilder();
  const inputs = model.inputs(g);
  const packed = unpack(g, model, o);
  const weights = new Weights(g, model.weights, packed.head);
  const dropPath = o.dropPath ? g.input(INPUTS.dropPath, "float32", [model.residualBranches, "batch"]) : undefined;
  const features = model.trunk(g, weights, inputs, dropPath ? { dropPath } : {});
  const result = o.head === "none" || !model.head ? features : applyHead(weights, model.head, features);
  g.output(result === features ? "features" : "logits", result);
  const loss = o.loss && lossOf(g, result, o.loss);
  if (loss) g.output("loss", loss);

  const adapted = adaptLinears(g.graph, packed.layers, o.observe);
  if (!loss) return adapted;
  const back = createBuilder(adapted);
  const asked = [...weights.entries()].filter(([name]) => o.weightGradients?.(name));
  const wrt = [...(o.gradients && packed.input ? [packed.input] : []), ...asked.map(([, value]) => value)];
  if (wrt.length === 0) return adapted;
  const lossValue = adapted.outputs.find((output) => output.name === "loss")!.value;
  const gradients = gradientsOf(back, lossValue, wrt);
  if (o.gradients && packed.input) back.output("gradients", gradients.shift()!);
  asked.forEach(([name], i) => {
    back.output(`grad.${name}`, gradients[i]!);
  });
  return adapted;
}

/** Pieces of the packed input: the effective tensors of each layer, and the head's weights by name. */
function unpack(g: Builder, model: Model, o: AdaptedGraphOptions) {
  const segments: { shape: readonly number[]; take: (value: Value) => void }[] = [];
  const layers = new Map<string, AdaptedLayer>();
  const head = new Map<string, Value>();
  const chooses: string[] = [];
  for (const [name, placed] of o.layout?.layers ?? []) {
    const effective: Partial<Record<SegmentName, Value>> = {};
    for (const [part, { shape }] of Object.entries(placed.segments))
      segments.push({
        shape,
        take: (value) => {
          effective[part as SegmentName] = value;
        },
      });
    layers.set(name, { effective });
    if (placed.plan.choose) chooses.push(name);
  }
  if (o.head === "trainable" && model.head) {
    const { name, in: width, out } = model.head;
    segments.push({ shape: [out, width], take: (value) => head.set(`${name}.weight`, value) });
    segments.push({ shape: [out], take: (value) => head.set(`${name}.bias`, value) });
  }
  if (segments.length === 0) return { input: undefined, layers, head };

  const lengths = segments.map((segment) => size(segment.shape));
  const input = g.input(INPUTS.trainable, "float32", [lengths.reduce((a, b) => a + b)]);
  const pieces = segments.length === 1 ? [input] : g.split(input, lengths, 0);
  segments.forEach(({ shape, take }, i) => {
    take(g.reshape(pieces[i]!, shape));
  });
  if (chooses.length > 0) {
    const choices = g.input(INPUTS.choices, "bool", [2 * chooses.length]);
    const bits = g.split(choices, Array<number>(2 * chooses.length).fill(1), 0);
    chooses.forEach((name, i) => {
      layers.set(name, { ...layers.get(name)!, choices: { lowA: bits[2 * i]!, drawnC: bits[2 * i + 1]! } });
    });
  }
  return { input, layers, head };
}

function lossOf(g: Builder, result: Value, loss: NonNullable<AdaptedGraphOptions["loss"]>): Value {
  const weights = g.input(INPUTS.exampleWeights, "float32", ["batch"]);
  if (loss.kind === "mse")
    return meanSquaredError(g, result, g.input(INPUTS.targets, "float32", result.type.shape), weights);
  return crossEntropy(g, result, g.input(INPUTS.labels, "int32", ["batch"]), weights, loss.smoothing);
}
