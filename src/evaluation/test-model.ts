/** Scores a model, or a model with an adapter, on labelled data. */
import type { AdaptedModel } from "../adapters/adapted-model.js";
import { inference } from "../adapters/inference.js";
import { GloraError } from "../base/errors.js";
import type { Dataset, SplitName } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { type EvaluateOptions, outputsOf, requireFinite } from "./evaluate.js";
import { classificationMetrics, type Metrics } from "./metrics.js";

export interface TestOptions extends Pick<EvaluateOptions, "batchSize" | "signal" | "onProgress"> {
  /** Default: test. */
  readonly split?: SplitName;
}

/**
 * @throws {GloraError} MODEL if the model has no head, or a logit is not finite; DATA if its classes are not the data's, in the same order, or the
 *   split is empty
 */
export async function testModel(subject: Model | AdaptedModel, data: Dataset, o: TestOptions = {}): Promise<Metrics> {
  const { split: name = "test", ...options } = o;
  const { model, graph, feeds } = inference(subject);
  if (!model.head) throw new GloraError("MODEL", `${model.name} has no head to score.`);
  const { labels } = model;
  if (labels ? String(labels) !== String(data.labels) : model.head.out !== data.labels.length)
    throw new GloraError(
      "DATA",
      `The classes of ${data.name} are not those of the model, in its order: expected ` +
        `${labels ? show(labels) : `${model.head.out} classes`}, found ${show(data.labels)}. ` +
        "Score a model that was trained on these classes.",
      { expected: labels, actual: data.labels },
    );
  const split = (await data.prepare(model.input))[name];
  if (split.size === 0) throw new GloraError("DATA", `${data.name} has no ${name} examples.`);
  const session = await model.runtime.open(graph, { name });
  try {
    const logits = await outputsOf(session, split, { ...options, feeds });
    requireFinite(logits, split.names, model.head.out, model.name);
    return classificationMetrics(logits, split.labels, model.head.out);
  } finally {
    await session.dispose();
  }
}

const show = (labels: readonly string[]): string =>
  `${labels.length} classes (${labels.slice(0, 5).join(", ")}${labels.length > 5 ? ", …" : ""})`;
