/** Scores a model, or a model with an adapter, on labelled data. */
import type { AdaptedModel } from "../adapters/adapted-model.js";
import { inference } from "../adapters/inference.js";
import { GloraError } from "../base/errors.js";
import { type Dataset, labelsOf, type SplitName } from "../data/dataset.js";
import type { Task } from "../data/task.js";
import type { Loss } from "../models/loss.js";
import type { Model } from "../models/model.js";
import { lossOfTask } from "../models/problem.js";
import { type EvaluateOptions, evaluate, metricsOf, outputsOf, requireFinite, scoringGraph } from "./evaluate.js";
import type { Metrics } from "./metrics.js";

export interface TestOptions extends Pick<EvaluateOptions, "batchSize" | "signal" | "onProgress"> {
  /** Default: test. */
  readonly split?: SplitName;
}

/**
 * @throws {GloraError} MODEL if the model has no head, or a logit is not finite; DATA if it says something else than the data asks
 *   for, its classes are not the data's, in the same order (or, where they have no names, as many), or the split is empty
 */
export async function testModel(subject: Model | AdaptedModel, data: Dataset, o: TestOptions = {}): Promise<Metrics> {
  const { split: name = "test", ...options } = o;
  const { model, feeds } = inference(subject);
  const adapted = "parameters" in subject ? subject : undefined;
  if (!model.head && model.loss !== "cosine") throw new GloraError("MODEL", `${model.name} has no head to score.`);
  if (lossOf(data.task) !== model.loss || (data.task.kind === "language") !== (model.rows === "tokens"))
    throw new GloraError(
      "DATA",
      `${data.name} asks for ${ASKED[data.task.kind]}, which ${model.name} was not trained to say. Score a model that was ` +
        "trained on such data, or say what the data is (task).",
      { task: data.task.kind, loss: model.loss },
    );
  const { labels } = model;
  const own = labelsOf(data.task);
  const outputs = model.head?.trained ? model.head.out : 0;
  // Outputs without names of their own, as transformers writes them, are the data's classes in their order; so are outputs
  // with the usual names where the data has names of another kind: WordNet's numbers for instance.
  const named = model.usualLabels
    ? labels!.some((label) => own.includes(label))
    : labels?.some((label, i) => label !== `LABEL_${i}`);
  if (named ? String(labels) !== String(own) : outputs !== own.length)
    throw new GloraError(
      "DATA",
      `The classes of ${data.name} are not those of the model, in its order: expected ` +
        `${named ? show(labels!) : `${outputs} classes`}, found ${show(own)}. ` +
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

const lossOf = (task: Task): Loss =>
  "labels" in task ? lossOfTask(task) : task.kind === "similarity" ? "cosine" : "cross-entropy";

const ASKED: Readonly<Record<Task["kind"], string>> = {
  classes: "a class of each example",
  "multi-label": "labels of each example, any number of them",
  regression: "numbers",
  similarity: "how near two texts are",
  language: "the next token",
};

const show = (labels: readonly string[]): string =>
  `${labels.length} classes (${labels.slice(0, 5).join(", ")}${labels.length > 5 ? ", …" : ""})`;
