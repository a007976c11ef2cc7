/** Runs a model once on given inputs, with its loss and any of its gradients: to compare it with another implementation. */
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import type { Loss } from "../models/loss.js";
import type { Model } from "../models/model.js";
import { createBuilder } from "../ops/index.js";
import { adaptedGraph, INPUTS } from "./adapted-graph.js";
import { type AdaptedModel, pullBack, trainableFeeds } from "./adapted-model.js";
import type { AdapterFile } from "./adapter-file.js";
import { attachAdapter } from "./attach.js";
import { globMatch } from "./glob.js";

export interface RunModelOptions {
  /** Run with this adapter, unmerged. */
  readonly adapter?: AdapterFile;
  /**
   * Glob over names: gradients of the loss with respect to what it matches. Names are those of the checkpoint, and
   * `<layer>.<support>.<part>` for the adapter's tensors.
   */
  readonly grad?: string;
  readonly signal?: AbortSignal;
}

/** PyTorch's `ignore_index`: an example that the loss leaves out. */
const IGNORED = -100;

/**
 * One pass in evaluation mode, computed in float32.
 *
 *     const { logits, loss } = await runModel(model, { pixel_values, labels }, { grad: "blocks.0.*" });
 *
 * @param inputs  the model's inputs by name, as they enter it (`pixel_values` float32 [images, channels, height, width],
 *   normalised; of another size than the model's, position embeddings are resampled), and `labels` int64 or int32
 *   [images]: a class, or −100 to leave the image out of the loss. A regression takes `labels` as numbers, float32 too,
 *   [images] or [images, outputs].
 * @returns `logits` [images, classes], or `features` [images, width] of a model without a head; `loss` [] where there are
 *   labels and a head: mean cross-entropy over the images that are not left out (NaN if all are), or the mean squared
 *   error where the model's own library takes that; `grad.<name>` in the shape of the tensor, a resampled position
 *   embedding as resampled. Weights that play no part in the pass have no gradient.
 * @throws {GloraError} DATA if the inputs do not fit the model, ADAPTER if the adapter does not, USAGE for `grad` without a
 *   loss or without a match
 */
export async function runModel(
  model: Model,
  inputs: Readonly<Record<string, Tensor>>,
  o: RunModelOptions = {},
): Promise<Record<string, Tensor>> {
  const { labels, ...own } = inputs;
  checkNames(model, own);
  const adapted = o.adapter && (await attachAdapter(model, o.adapter));
  const fitted = await (adapted?.model ?? model).fitInputs(own);
  const target = labels && fitted.head ? lossInputs(labels, fitted, Object.values(own)[0]!.shape[0]!) : undefined;
  if (o.grad !== undefined && !target)
    throw new GloraError(
      "USAGE",
      `Gradients need a loss: ${fitted.head ? "labels among the inputs" : "a model with a head"}.`,
    );

  const wanted = wantedGradients(o.grad);
  const packed = adapted?.tensors.filter((tensor) => wanted.matches(tensor.name)) ?? [];
  const graph = adaptedGraph(fitted, {
    head: adapted ? "trainable" : "frozen",
    ...(adapted && { layout: adapted.layout }),
    ...(target && { loss: { kind: fitted.loss } }),
    gradients: packed.length > 0,
    weightGradients: wanted.matches,
  });
  wanted.assertFound();
  const session = await fitted.runtime.open(graph, { name: "run" });
  try {
    const feeds = { ...own, ...(adapted && trainableFeeds(adapted)), ...target };
    const { gradients, ...outputs } = await session.run(feeds, o.signal ? { signal: o.signal } : {});
    for (const [name, { shape }] of fitted.weights) {
      const gradient = outputs[`grad.${name}`];
      // The forward pass may use a weight in another shape: a patch embedding as a matrix.
      if (gradient) outputs[`grad.${name}`] = { ...gradient, shape };
    }
    return gradients ? { ...outputs, ...adapterGradients(adapted!, packed, gradients) } : outputs;
  } finally {
    await session.dispose();
  }
}

function checkNames(model: Model, inputs: Readonly<Record<string, Tensor>>): void {
  const known = Object.keys(model.inputs(createBuilder()));
  const list = [...known, "labels"].map((name) => `"${name}"`).join(", ");
  const unknown = Object.keys(inputs).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new GloraError("DATA", `The model has no input "${unknown}"; it takes ${list}.`, { input: unknown });
  const missing = known.find((name) => !Object.hasOwn(inputs, name));
  if (missing !== undefined)
    throw new GloraError("DATA", `The input "${missing}" is missing; the model takes ${list}.`, { input: missing });
}

/** Which names a pattern matches, and the names that were offered to it. */
function wantedGradients(pattern: string | undefined) {
  const offered: string[] = [];
  let found = false;
  return {
    matches: (name: string): boolean => {
      offered.push(name);
      const match = pattern !== undefined && globMatch(pattern, name);
      found ||= match;
      return match;
    },
    assertFound: (): void => {
      if (pattern === undefined || found) return;
      const some = offered.slice(0, 8).join(", ");
      throw new GloraError("USAGE", `No name matches "${pattern}". There are ${offered.length}, among them ${some}.`, {
        pattern,
      });
    },
  };
}

/** The labels as the graph takes them, with the weight of each example: 1 / (examples that count). */
function lossInputs(labels: Tensor, model: Model, images: number): Record<string, Tensor> {
  const outputs = model.head!.out;
  const numbers = numbersOf(labels, model.loss);
  const { length } = numbers;
  const shapes = model.loss === "mse" ? [[images], [images, outputs]] : [[images]];
  if (!shapes.some((shape) => String(shape) === String(labels.shape)))
    throw new GloraError(
      "DATA",
      `labels: one for ${images === 1 ? "the image" : `each of the ${images} images`} is expected, ${shapes.map(show).join(" or ")}; found ${show(labels.shape)}.`,
      { input: "labels", expected: shapes[0], actual: labels.shape },
    );
  if (model.loss === "mse") {
    const data = Float32Array.from(
      { length: images * outputs },
      (_, i) => numbers[length === images ? Math.floor(i / outputs) : i]!,
    );
    return {
      [INPUTS.targets]: { dtype: "float32", shape: [images, outputs], data },
      [INPUTS.exampleWeights]: { dtype: "float32", shape: [images], data: new Float32Array(images).fill(1 / images) },
    };
  }
  const wrong = numbers.findIndex((label) => label !== IGNORED && !(label >= 0 && label < outputs));
  if (wrong >= 0)
    throw new GloraError(
      "DATA",
      `labels[${wrong}] is ${numbers[wrong]}; the model has ${outputs} classes: 0 to ${outputs - 1} is expected, or ` +
        `${IGNORED} to leave the image out of the loss.`,
      { input: "labels", index: wrong, actual: numbers[wrong], classes: outputs },
    );
  const counted = numbers.filter((label) => label !== IGNORED).length;
  const weights = Float32Array.from(numbers, (label) => Number(label !== IGNORED) / counted); // NaN where none counts
  return {
    [INPUTS.labels]: { dtype: "int32", shape: [images], data: Int32Array.from(numbers, (label) => Math.max(label, 0)) },
    [INPUTS.exampleWeights]: { dtype: "float32", shape: [images], data: weights },
  };
}

const show = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

function numbersOf({ dtype, data }: Tensor, loss: Loss): number[] {
  if (dtype === "int32" || dtype === "int64" || (dtype === "float32" && loss === "mse"))
    return Array.from(data, Number);
  throw new GloraError("DATA", `labels: int64 or int32 is expected, found ${dtype}.`, {
    input: "labels",
    actual: dtype,
  });
}

/** Gradients of the stored tensors from the packed one of the effective tensors. */
function adapterGradients(
  adapted: AdaptedModel,
  tensors: AdaptedModel["tensors"],
  packed: Tensor,
): Record<string, Tensor> {
  const all = new Float32Array(adapted.parameters.length);
  pullBack(adapted, packed.data as Float32Array, all);
  return Object.fromEntries(
    tensors.map(({ name, shape, offset, length }) => [
      `grad.${name}`,
      { dtype: "float32", shape, data: all.slice(offset, offset + length) } satisfies Tensor,
    ]),
  );
}
