/** Scores a model, or a model with an adapter, on labelled data. */
import type { AdaptedModel } from "../adapters/adapted-model.js";
import { inference } from "../adapters/inference.js";
import { GloraError } from "../base/errors.js";
import { type Dataset, labelsOf, type SplitName } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { type EvaluateOptions, evaluate, metricsOf, outputsOf, requireFinite, scoringGraph } from "./evaluate.js";
import type { Metrics } from "./metrics.js";

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
  const { model, feeds } = inference(subject);
  const adapted = "parameters" in subject ? subject : undefined;
  if (!model.head && model.loss !== "cosine") throw new GloraError("MODEL", `${model.name} has no head to score.`);
  const { labels } = model;
  const own = labelsOf(data.task);
  const outputs = model.head?.trained ? model.head.out : 0;
  if (labels ? String(labels) !== String(own) : outputs !== own.length)
    throw new GloraError(
      "DATA",
      `The classes of ${data.name} are not those of the model, in its order: expected ` +
        `${labels ? show(labels) : `${outputs} classes`}, found ${show(own)}. ` +
        "Score a model that was trained on these classes.",
      { expected: labels, actual: own },
    );
  const split = (await data.prepare(model.input))[name];
  if (split.size === 0) throw new GloraError("DATA", `${data.name} has no ${name} examples.`);
  const graph = scoringGraph(model, adapted ? { layout: adapted.layout, head: "trainable" } : { head: "frozen" });
  const session = await model.runtime.open(graph, { name });
  try {
    if (model.rows === "tokens") return await evaluate(session, split, model, { ...options, feeds });
    const outputs = await outputsOf(session, split, { ...options, feeds });
    requireFinite(outputs, split.names, outputs.length / split.size, model.name);
    return metricsOf(outputs, split, model);
  } finally {
    await session.dispose();
  }
}

const show = (labels: readonly string[]): string =>
  `${labels.length} classes (${labels.slice(0, 5).join(", ")}${labels.length > 5 ? ", …" : ""})`;
