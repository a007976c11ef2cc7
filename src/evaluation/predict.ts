/** Says of examples what is not known of them: their class, their labels, their numbers. */
import type { AdaptedModel } from "../adapters/adapted-model.js";
import { inference } from "../adapters/inference.js";
import { GloraError } from "../base/errors.js";
import type { Split } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { outputsOf, requireFinite } from "./evaluate.js";

export interface Prediction {
  /** What the data calls the example. */
  readonly file: string;
  /** Of classes: that of the largest logit; of equal ones the first. */
  readonly label?: string;
  /** Softmax of the logits at that class. */
  readonly probability?: number;
  /** Of labels of which any number may hold: the probability of each, σ(logit). */
  readonly labels?: Readonly<Record<string, number>>;
  /** Of a regression: the numbers by name. */
  readonly values?: Readonly<Record<string, number>>;
  readonly logits: readonly number[];
}

export interface PredictOptions {
  /** Examples that run through the graph at once. Default: 32. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Predictions in the order of the examples, as they are made.
 *
 *     for await (const { file, label } of predict(model, (await imageFiles("photos")).prepare(model.input))) …
 *
 * @throws {GloraError} MODEL if the model has no head for examples, or a logit is not finite
 */
export async function* predict(
  subject: Model | AdaptedModel,
  split: Split,
  { batchSize = 32, signal }: PredictOptions = {},
): AsyncGenerator<Prediction> {
  const { model, graph, feeds } = inference(subject);
  if (!model.head) throw new GloraError("MODEL", `${model.name} has no head: it gives features, and no classes.`);
  if (model.rows === "tokens")
    throw new GloraError(
      "MODEL",
      `${model.name} is a language model: it goes on with texts, and says nothing of them.`,
    );
  const outputs = model.head.out;
  const session = await model.runtime.open(graph, { name: "prediction" });
  try {
    for (let from = 0; from < split.size; from += batchSize) {
      const indices = Array.from({ length: Math.min(batchSize, split.size - from) }, (_, i) => from + i);
      const logits = await outputsOf(session, split, { feeds, indices, batchSize, signal });
      const names = indices.map((i) => split.names[i]!);
      requireFinite(logits, names, outputs, model.name);
      for (const i of indices) {
        const row = [...logits.subarray((i - from) * outputs, (i - from + 1) * outputs)];
        yield { file: split.names[i]!, ...said(model, row), logits: row };
      }
    }
  } finally {
    await session.dispose();
  }
}

/** What the logits of an example mean, by the loss that the model is trained with. */
function said({ loss, labels }: Model, logits: readonly number[]): Omit<Prediction, "file" | "logits"> {
  const nameOf = (i: number): string => labels?.[i] ?? String(i);
  const named = (value: (logit: number) => number): Record<string, number> =>
    Object.fromEntries(logits.map((logit, i) => [nameOf(i), value(logit)]));
  if (loss === "mse") return { values: named((logit) => logit) };
  if (loss === "binary-cross-entropy") return { labels: named((logit) => 1 / (1 + Math.exp(-logit))) };
  const best = logits.indexOf(Math.max(...logits));
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - logits[best]!), 0);
  return { label: nameOf(best), probability: 1 / total };
}
