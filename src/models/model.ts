/**
 * A pretrained model: a trunk and a head with a seam between them, named inputs, and its linear layers. Training, search
 * and merge see this alone and name no modality.
 */
import type { Tensor } from "../base/tensor.js";
import type { InputSpec } from "../data/dataset.js";
import type { Checkpoint } from "../formats/checkpoint.js";
import type { Folder } from "../formats/folder.js";
import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Loss } from "./loss.js";

import { readWeight, type Weight, type Weights } from "./weights.js";

/** A linear layer y = x·Wᵀ + b of the checkpoint, W [out, in]. */
export interface LinearLayer {
  /** Path of the module in the checkpoint, without ".weight". */
  readonly name: string;
  readonly in: number;
  readonly out: number;
  readonly bias: boolean;
  /** It has none, but the model's config can say that one is added. */
  readonly addableBias: boolean;
}

/** The classifier behind the seam. */
export interface Head {
  /** Path of its module: "head", "classifier". */
  readonly name: string;
  readonly in: number;
  readonly out: number;
  /** False for a new head, whose weights are not the checkpoint's. */
  readonly pretrained: boolean;
}

export interface ForwardOptions {
  /** Per-example factors of residual branches [rows, batch]: 0 drops a branch, 1/(1−p) scales a kept one. */
  readonly dropPath?: Value;
}

export interface Model {
  /** What a person calls it: the folder's name. */
  readonly name: string;
  readonly family: string;
  /** Where its graphs run. */
  readonly runtime: Runtime;
  readonly folder: Folder;
  readonly checkpoint: Checkpoint;
  /** Weights by checkpoint name; those of a new head are not among them. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** Every linear layer but the head, in the order of the forward pass. */
  readonly layers: readonly LinearLayer[];
  readonly head: Head | undefined;
  /** Names of the head's classes, in order. */
  readonly labels: readonly string[] | undefined;
  /** How an input is prepared for this model. */
  readonly input: InputSpec;
  /** Residual branches that drop-path may drop, each a row of its mask. */
  readonly residualBranches: number;
  /** The loss that the model's own library takes for its labels. */
  readonly loss: Loss;

  /** Declares the model's inputs in a graph, by name; their batch dimension is "batch". */
  inputs(g: Builder): Record<string, Value>;
  /** Features in front of the head: [rows, width]. */
  trunk(g: Builder, weights: Weights, inputs: Readonly<Record<string, Value>>, o?: ForwardOptions): Value;
  /** The same model with a new, untrained head for these labels. */
  withHead(labels: readonly string[]): Model;
  /** The same model for inputs of the size of these; position embeddings are resampled where it differs. */
  fitInputs(inputs: Readonly<Record<string, Tensor>>): Promise<Model>;
  /** What a folder of this model says when it is written with its present head and labels. */
  exportSpec(o: ExportOptions): ExportSpec;
}

export interface ExportOptions {
  /** Biases are written where the base had none, as far as the config has a flag for them. */
  readonly addedBiases: boolean;
  /** All weights are written in this type; each in its own unless said. */
  readonly dtype?: "F32" | "F16" | "BF16";
}

export interface ExportSpec {
  readonly config: Readonly<Record<string, unknown>>;
  /** The name under which a tensor of the base is written, or undefined to leave it out; its own unless said. */
  readonly rename?: (name: string) => string | undefined;
  /** config.json for transformers.js, where it cannot be the folder's own: a sub-folder then holds the ONNX file. */
  readonly onnxConfig?: Readonly<Record<string, unknown>>;
}

/** Logits of the features: the head applied behind the seam. */
export const applyHead = (weights: Weights, head: Head, features: Value): Value => weights.linear(head.name, features);

/** The pretrained head's weight [out, in] and bias [out] in one array, or undefined for a new head. */
export async function headWeights(model: Model): Promise<Float32Array | undefined> {
  if (!model.head?.pretrained) return undefined;
  const { name, in: width, out } = model.head;
  const values = new Float32Array(out * (width + 1));
  values.set(await readWeight(model.weights.get(`${name}.weight`)!));
  const bias = model.weights.get(`${name}.bias`);
  if (bias) values.set(await readWeight(bias), out * width);
  return values;
}
