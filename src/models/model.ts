/**
 * A pretrained model: a trunk and a head with a seam between them, named inputs, and its linear layers. Training, search
 * and merge see this alone and name no modality.
 */
import type { Tensor } from "../base/tensor.js";
import type { InputSpec } from "../data/dataset.js";
import type { Task } from "../data/task.js";
import type { Checkpoint } from "../formats/checkpoint.js";
import type { Size } from "../formats/fields.js";
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

/** A linear layer of a head. */
export interface HeadLayer {
  /** Path of its module: "head", "classifier", "classifier.dense". */
  readonly name: string;
  readonly in: number;
  readonly out: number;
  readonly bias: boolean;
}

/** What stands behind the seam: features [rows, in] to logits [rows, out]. */
export interface Head {
  /** Its layers in the order of the forward pass; the last gives the logits. */
  readonly layers: readonly HeadLayer[];
  readonly in: number;
  readonly out: number;
  /** Trained whole, beside the adapter: a classifier. The head of a language model is frozen as the trunk is. */
  readonly trained: boolean;
  /** False for a new head, whose weights are not the checkpoint's. */
  readonly pretrained: boolean;
}

/** The keys and values that attention has computed for the tokens before, and those that it computes now, a layer each. */
export interface KeyValueCache {
  /** [batch, key-value heads, past tokens, head width] */
  readonly past: readonly KeyValue[];
  /** Filled by the forward pass. */
  readonly present: Present[];
}

/** Keys and values of past and new tokens. */
export interface Present extends KeyValue {
  /** Those of the new ones alone. */
  readonly added: KeyValue;
}

export interface KeyValue {
  readonly key: Value;
  readonly value: Value;
}

export interface ForwardOptions {
  /** Per-example factors of residual branches [rows, batch]: 0 drops a branch, 1/(1−p) scales a kept one. */
  readonly dropPath?: Value;
  readonly cache?: KeyValueCache;
}

/** What a causal language model keeps from token to token. */
export interface CacheSpec {
  readonly layers: number;
  readonly heads: number;
  readonly headWidth: number;
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
  /** Of these, the ones that are not the checkpoint's though they carry its names: a merged folder holds them. */
  readonly changed?: ReadonlyMap<string, Weight>;
  /** Every linear layer but the head, in the order of the forward pass. */
  readonly layers: readonly LinearLayer[];
  /** Globs of the layers that are adapted unless others are named; absent: all. */
  readonly targets?: readonly string[];
  readonly head: Head | undefined;
  /** Names of the head's classes, in order. */
  readonly labels: readonly string[] | undefined;
  /** The config does not state those names: they are the usual ones of the classes that its weights were trained on. */
  readonly usualLabels?: boolean;
  /** Of a model of images: pixels [height, width] of those that it takes. */
  readonly imageSize?: Size;
  /** That size was asked for when it was opened: it does not give way to an adapter's. */
  readonly imageSizeAsked?: boolean;
  /** How an input is prepared for this model. */
  readonly input: InputSpec;
  /** Residual branches that drop-path may drop, each a row of its mask. */
  readonly residualBranches: number;
  /** The loss that the model's own library takes for its labels. */
  readonly loss: Loss;
  /**
   * What the rows of features are. `examples`: one row each. `tokens`: those positions of the input that the graph input
   * `scored` names, whose next tokens a language model is asked for.
   */
  readonly rows: "examples" | "tokens";
  /**
   * The weight [tokens, width] whose product with the features is the logits, where nothing else stands behind the seam: a
   * loss may then be computed a slice of it at a time.
   */
  readonly vocabulary?: string;
  /** Present where the model can go on from what it has computed: a causal language model. */
  readonly cache?: CacheSpec;

  /** Declares the model's inputs in a graph, by name; their batch dimension is "batch". */
  inputs(g: Builder): Record<string, Value>;
  /** The model's inputs with what a caller may leave out: a mask of ones, positions counted from 0, every position scored. */
  feeds(inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor>;
  /** Features in front of the head: [rows, width]. */
  trunk(g: Builder, weights: Weights, inputs: Readonly<Record<string, Value>>, o?: ForwardOptions): Value;
  /** Logits [rows, out] of features: the head behind the seam. */
  logits(g: Builder, weights: Weights, features: Value): Value;
  /**
   * Declares the graph that transformers.js runs, with its inputs and outputs: a decoder's with past keys and values, an
   * encoder's with its hidden states. Absent: the model's inputs, and `logits`.
   */
  readonly serving?: (g: Builder, weights: Weights) => void;
  /**
   * The same model for a task: with a new, untrained head where the task has labels; a language model's own for language.
   * @throws {GloraError} MODEL if the family has none for such a task
   */
  withTask(task: Task): Model;
  /** Of a model of images: the same for others of this size, [height, width]; position embeddings are resampled. */
  resized?(size: Size): Promise<Model>;
  /** The same model for inputs of the size of these, as `resized` gives it; with an input for each that may be left out and is given. */
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

/** Features through the last layer alone: a head that is one linear layer. */
export const linearHead = (weights: Weights, { layers }: Head, features: Value): Value =>
  weights.linear(layers.at(-1)!.name, features);

/** The tensors of a trained head in their order: weight [out, in] and bias [out] of each layer. */
export const headTensors = (head: Head | undefined): { name: string; shape: readonly number[] }[] =>
  head?.trained
    ? head.layers.flatMap(({ name, in: width, out, bias }) => [
        { name: `${name}.weight`, shape: [out, width] },
        ...(bias ? [{ name: `${name}.bias`, shape: [out] }] : []),
      ])
    : [];

/** The values of a pretrained head that is trained, in the order of its tensors; undefined for a new head. */
export async function headWeights(model: Model): Promise<Float32Array | undefined> {
  if (!model.head?.pretrained) return undefined;
  const values = await Promise.all(headTensors(model.head).map(({ name }) => readWeight(model.weights.get(name)!)));
  const all = new Float32Array(values.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const tensor of values) {
    all.set(tensor, offset);
    offset += tensor.length;
  }
  return all;
}
