/** Runs a model once on given inputs, with its loss and any of its gradients: to compare it with another implementation. */
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import type { Loss } from "../models/loss.js";
import type { Model } from "../models/model.js";
import { createBuilder } from "../ops/index.js";
import { adaptedGraph } from "./adapted-graph.js";
import { type AdaptedModel, pullBack, trainableFeeds } from "./adapted-model.js";
import type { AdapterFile } from "./adapter-file.js";
import { attachAdapter } from "./attach.js";
import { globMatch } from "./glob.js";
import { lossFeeds } from "./loss-feeds.js";

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
 *   normalised; of another size than the model's, position embeddings are resampled. `input_ids` int64 [texts, tokens], and
 *   `attention_mask`, `position_ids`, `token_type_ids` of that shape as far as the model has them: absent, every token
 *   counts, positions count from 0 and types are 0), and `labels` int64 or int32 [examples]: a class, or −100 to leave the
 *   example out of the loss; of a language model [texts, tokens], where the label of a token is compared with what the
 *   token before it predicts. A regression takes `labels` as numbers, float32 too, [examples] or [examples, outputs]; a
 *   model of several labels takes float32 [examples, outputs].
 * @returns `logits` [examples, classes] ([texts, tokens, vocabulary] of a language model), or `features` of a model without
 *   a head; `loss` [] where there are labels and a head: mean cross-entropy over what is not left out (NaN if all is), or
 *   the loss that the model's own library takes; `grad.<name>` in the shape of the tensor, a resampled position
 *   embedding as resampled. Weights that play no part in the pass have no gradient.
 * @throws {GloraError} DATA if the inputs do not fit the model, ADAPTER if the adapter does not, USAGE for `grad` without a
 *   loss or without a match
 */
export async function runModel(
  model: Model,
  inputs: Readonly<Record<string, Tensor>>,
  o: RunModelOptions = {},
): Promise<Record<string, Tensor>> {
  const { labels, ...given } = inputs;
  checkGiven(model, given);
  const adapted = o.adapter && (await attachAdapter(model, o.adapter));
  const fitted = await (adapted?.model ?? model).fitInputs(given);
  checkKnown(fitted, given);
  const own = fitted.feeds(given);
  const target = labels && fitted.head ? lossInputs(labels, fitted, inputShape(fitted, own)) : undefined;
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
    ...(target && { loss: { kind: target.loss } }),
    gradients: packed.length > 0,
    weightGradients: wanted.matches,
  });
  wanted.assertFound();
  const session = await fitted.runtime.open(graph, { name: "run" });
  try {
    const feeds = { ...own, ...(adapted && trainableFeeds(adapted)), ...target?.feeds };
    const { gradients, ...outputs } = await session.run(feeds, o.signal ? { signal: o.signal } : {});
    if (fitted.rows === "tokens") unflatten(outputs, own["input_ids"]!.shape);
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

/** Shape of the input that nothing else stands in for: images or token ids. */
const inputShape = ({ input }: Model, feeds: Readonly<Record<string, Tensor>>): readonly number[] =>
  feeds[input.kind === "image" ? "pixel_values" : "input_ids"]!.shape;

/** Rows of all positions as [batch, tokens, …]. */
function unflatten(outputs: Record<string, Tensor>, [batch, tokens]: readonly number[]): void {
  for (const name of ["logits", "features"]) {
    const rows = outputs[name];
    if (rows) outputs[name] = { ...rows, shape: [batch!, tokens!, rows.shape[1]!] };
  }
}

/** Names of what a model is fed. Every position is scored, so that logits are those of every token. */
const inputNames = (model: Model): string[] =>
  Object.keys(model.inputs(createBuilder())).filter((name) => name !== "scored");

const listed = (names: readonly string[]): string => [...names, "labels"].map((name) => `"${name}"`).join(", ");

/** @throws {GloraError} DATA without the input that nothing else stands in for, the first */
function checkGiven(model: Model, inputs: Readonly<Record<string, Tensor>>): void {
  const known = inputNames(model);
  const [first] = known;
  if (!Object.hasOwn(inputs, first!))
    throw new GloraError("DATA", `The input "${first}" is missing; the model takes ${listed(known)}.`, {
      input: first,
    });
}

/** @throws {GloraError} DATA for an input that the model does not have */
function checkKnown(model: Model, inputs: Readonly<Record<string, Tensor>>): void {
  const known = inputNames(model);
  const unknown = Object.keys(inputs).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new GloraError("DATA", `The model has no input "${unknown}"; it takes ${listed(known)}.`, { input: unknown });
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

interface LossInputs {
  readonly loss: Loss;
  readonly feeds: Record<string, Tensor>;
}

/** The labels as the graph takes them, with the weight of each row: 1 / (rows that count). */
function lossInputs(labels: Tensor, model: Model, input: readonly number[]): LossInputs {
  const outputs = model.head!.out;
  const shape = model.rows === "tokens" ? input.slice(0, 2) : input.slice(0, 1);
  const wide = [shape[0]!, outputs];
  // As transformers takes it where a config does not say: numbers are answers of yes or no.
  const answers = labels.dtype === "float32" && labels.shape.length === 2 && model.rows === "examples";
  const loss = answers && model.loss === "cross-entropy" ? "binary-cross-entropy" : model.loss;
  const numbers = numbersOf(labels, loss);
  const shapes = loss === "cross-entropy" ? [shape] : loss === "mse" ? [shape, wide] : [wide];
  if (!shapes.some((expected) => String(expected) === String(labels.shape)))
    throw new GloraError(
      "DATA",
      `labels: one for ${what(model, shape[0]!)} is expected, ${shapes.map(show).join(" or ")}; found ${show(labels.shape)}.`,
      { input: "labels", expected: shapes[0], actual: labels.shape },
    );
  if (loss !== "cross-entropy") {
    const values = Float32Array.from(
      { length: shape[0]! * outputs },
      (_, i) => numbers[numbers.length === shape[0] ? Math.floor(i / outputs) : i]!,
    );
    const weights = new Float32Array(shape[0]!).fill(1 / shape[0]!);
    return { loss, feeds: lossFeeds({ ...model, loss }, { kind: "values", values }, weights) };
  }
  const wrong = numbers.findIndex((label) => label !== IGNORED && !(label >= 0 && label < outputs));
  if (wrong >= 0)
    throw new GloraError(
      "DATA",
      `labels[${wrong}] is ${numbers[wrong]}; the model has ${outputs} ${model.rows === "tokens" ? "tokens" : "classes"}: 0 to ` +
        `${outputs - 1} is expected, or ${IGNORED} to leave it out of the loss.`,
      { input: "labels", index: wrong, actual: numbers[wrong], classes: outputs },
    );
  const rows = model.rows === "tokens" ? nextTokens(numbers, shape[1]!) : numbers;
  const counted = rows.filter((label) => label !== IGNORED).length;
  const weights = Float32Array.from(rows, (label) => Number(label !== IGNORED) / counted); // NaN where none counts
  const targets = { kind: "labels", labels: Int32Array.from(rows, (label) => Math.max(label, 0)) } as const;
  return { loss, feeds: lossFeeds(model, targets, weights) };
}

/** What each position is to predict: the label of the next one; nothing follows the last. */
const nextTokens = (labels: readonly number[], tokens: number): number[] =>
  labels.map((_, i) => ((i + 1) % tokens === 0 ? IGNORED : labels[i + 1]!));

const what = ({ rows, input }: Model, count: number): string => {
  if (rows === "tokens") return "each token";
  const example = input.kind === "image" ? "image" : "text";
  return count === 1 ? `the ${example}` : `each of the ${count} ${example}s`;
};

const show = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

function numbersOf({ dtype, data }: Tensor, loss: Loss): number[] {
  if (dtype === "int32" || dtype === "int64" || (dtype === "float32" && loss !== "cross-entropy"))
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
