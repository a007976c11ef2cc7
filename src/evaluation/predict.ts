/** Names the class of examples whose class is not known. */
import type { AdaptedModel } from "../adapters/adapted-model.js";
import { inference } from "../adapters/inference.js";
import { GloraError } from "../base/errors.js";
import type { Split } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { outputsOf, requireFinite } from "./evaluate.js";

export interface Prediction {
  /** What the data calls the example. */
  readonly file: string;
  /** The class of the largest logit; of equal ones the first. */
  readonly label: string;
  /** Softmax of the logits at that class. */
  readonly probability: number;
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
 * @throws {GloraError} MODEL if the model has no head, or a logit is not finite
 */
export async function* predict(
  subject: Model | AdaptedModel,
  split: Split,
  { batchSize = 32, signal }: PredictOptions = {},
): AsyncGenerator<Prediction> {
  const { model, graph, feeds } = inference(subject);
  if (!model.head) throw new GloraError("MODEL", `${model.name} has no head: it gives features, and no classes.`);
  const classes = model.head.out;
  const session = await model.runtime.open(graph, { name: "prediction" });
  try {
    for (let from = 0; from < split.size; from += batchSize) {
      const indices = Array.from({ length: Math.min(batchSize, split.size - from) }, (_, i) => from + i);
      const logits = await outputsOf(session, split, { feeds, indices, batchSize, signal });
      const names = indices.map((i) => split.names[i]!);
      requireFinite(logits, names, classes, model.name);
      for (const i of indices) {
        const row = logits.subarray((i - from) * classes, (i - from + 1) * classes);
        const best = row.indexOf(Math.max(...row));
        const total = row.reduce((sum, z) => sum + Math.exp(z - row[best]!), 0);
        const label = model.labels?.[best] ?? String(best);
        yield { file: split.names[i]!, label, probability: 1 / total, logits: [...row] };
      }
    }
  } finally {
    await session.dispose();
  }
}
