/**
 * The graph of a model with adapted layers: forward pass, loss and gradients, with everything trainable in one packed
 * input and its gradient in one packed output.
 */
import { gradientsOf } from "../autodiff/backward.js";
import type { Builder } from "../ir/builder.js";
import { type Dim, size } from "../ir/dim.js";
import type { Graph, Value } from "../ir/graph.js";
import { binaryCrossEntropy, cosineLoss, crossEntropy, type Loss, meanSquaredError } from "../models/loss.js";
import { headTensors, type Model } from "../models/model.js";
import { isSliced, vocabularyCrossEntropy } from "../models/vocabulary-loss.js";
import { Weights } from "../models/weights.js";
import { createBuilder } from "../ops/index.js";
import { recomputeBlocks, recomputeCheap } from "../passes/recompute.js";
import type { EffectiveLayout, SegmentName } from "./effective.js";
import { type AdaptedLayer, adaptLinears, type Observe } from "./emit.js";

/** Names of the graph's inputs beside the model's own. */
export const INPUTS = {
  /** float32 [n]: the effective tensors of all layers, then the head's weight and bias. */
  trainable: "trainable",
  /** bool [2·layers that choose]: A is low-rank, C is drawn. */
  choices: "choices",
  /** int32 [rows] */
  labels: "labels",
  /** float32 [rows, outputs], for losses that compare with numbers. */
  targets: "targets",
  /** float32 [rows]: weight of each row in the loss. */
  rowWeights: "row_weights",
  /** float32 [residual branches, batch] */
  dropPath: "drop_path",
} as const;

export interface AdaptedGraphOptions {
  /** Where the effective tensors lie in the packed input; absent: no layer is adapted. */
  readonly layout?: EffectiveLayout;
  /** Head: its weights in the packed input, those of the checkpoint, or no head (features are the output). */
  readonly head: "trainable" | "frozen" | "none";
  readonly loss?: { readonly kind: Loss; readonly smoothing?: number };
  /** The logits, or features, as an output. Default: true. */
  readonly logits?: boolean;
  /** How many rows have their label as the largest logit, as an output `correct`. */
  readonly correct?: boolean;
  /** The packed gradient of the loss as an output. */
  readonly gradients?: boolean;
  readonly dropPath?: boolean;
  /** Compute the activations of each block again in the backward pass, instead of keeping them. */
  readonly recompute?: boolean;
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
  if (isSlicedLoss(model, o)) slicedLoss(g, model.vocabulary!, weights, features, o);
  else {
    const result = o.head === "none" || !model.head ? features : model.logits(g, weights, features);
    if (o.logits ?? true) g.output(result === features ? "features" : "logits", result);
    if (o.loss) g.output("loss", lossOf(g, result, o));
  }

  const adapted = adaptLinears(g.graph, packed.layers, o.observe);
  if (!o.loss) return adapted;
  const forward = adapted.nodes.length;
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
  return (o.recompute ? recomputeBlocks : recomputeCheap)(adapted, forward);
}

/** The packed input, declared, and its pieces: the effective tensors of each layer, and the head's weights by name. */
export function unpack(g: Builder, model: Model, o: Pick<AdaptedGraphOptions, "layout" | "head">) {
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
  if (o.head === "trainable")
    for (const { name, shape } of headTensors(model.head))
      segments.push({ shape, take: (value) => head.set(name, value) });
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

/** Whether the loss is all that is asked of a vocabulary too large for its logits to be held at once. */
const isSlicedLoss = (
  { vocabulary, head }: Model,
  { loss, logits = true, weightGradients }: AdaptedGraphOptions,
): boolean =>
  loss?.kind === "cross-entropy" &&
  !loss.smoothing &&
  !logits &&
  !weightGradients &&
  vocabulary !== undefined &&
  isSliced(head!.out);

function slicedLoss(g: Builder, table: string, w: Weights, features: Value, o: AdaptedGraphOptions): void {
  const [rows] = features.type.shape as [Dim];
  const labels = g.input(INPUTS.labels, "int32", [rows]);
  const weights = g.input(INPUTS.rowWeights, "float32", [rows]);
  const { loss, correct } = vocabularyCrossEntropy(g, w, table, features, labels, weights);
  g.output("loss", loss);
  if (o.correct) g.output("correct", correct);
}

function lossOf(g: Builder, result: Value, { loss, correct }: AdaptedGraphOptions): Value {
  const { kind, smoothing } = loss!;
  const [rows, outputs] = result.type.shape as [Dim, Dim];
  if (kind === "cross-entropy") {
    const labels = g.input(INPUTS.labels, "int32", [rows]);
    if (correct) g.output("correct", countCorrect(g, result, labels));
    return crossEntropy(g, result, labels, g.input(INPUTS.rowWeights, "float32", [rows]), smoothing);
  }
  // Of two texts that are compared, each is a row.
  const compared = kind === "cosine" ? "pairs" : rows;
  const targets = g.input(INPUTS.targets, "float32", [compared, kind === "cosine" ? 1 : outputs]);
  const weights = g.input(INPUTS.rowWeights, "float32", [compared]);
  const losses = { mse: meanSquaredError, "binary-cross-entropy": binaryCrossEntropy, cosine: cosineLoss };
  return losses[kind](g, result, targets, weights);
}

/** Rows whose label has the largest logit, as a float32 scalar; of equal logits all count as the largest. */
function countCorrect(g: Builder, logits: Value, labels: Value): Value {
  const [rows] = logits.type.shape as [Dim];
  const own = g.reshape(g.gatherElements(logits, g.reshape(labels, [rows, 1]), 1), [rows]);
  const largest = g.reduceMax(logits, [1]);
  return g.reduceSum(g.cast(g.equal(own, largest), "float32"), [0]);
}
