/** Runs a model over a split and scores what it says. */
import { type AdaptedGraphOptions, adaptedGraph } from "../adapters/adapted-graph.js";
import { lossFeeds } from "../adapters/loss-feeds.js";
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import type { Split } from "../data/dataset.js";
import type { Graph } from "../ir/graph.js";
import type { Model } from "../models/model.js";
import type { Session } from "../runtime/runtime.js";
import { classificationMetrics, type LanguageMetrics, type Metrics, valueMetrics } from "./metrics.js";

export interface EvaluateOptions {
  /** Inputs beside the examples: the trained numbers and the choices of a structure. */
  readonly feeds?: Readonly<Record<string, Tensor>>;
  /** Examples that run through the graph at once. Default: 32. */
  readonly batchSize?: number;
  /** The examples to run, by index. Default: all. */
  readonly indices?: readonly number[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Outputs of the graph for a split, row by row: `logits`, or `features` where the graph has no head. */
export async function outputsOf(session: Session, split: Split, o: EvaluateOptions = {}): Promise<Float32Array> {
  const { feeds = {}, batchSize = 32, signal } = o;
  const indices = o.indices ?? allOf(split);
  const abort = signal ? { signal } : {};
  const batches = Array.from({ length: Math.ceil(indices.length / batchSize) }, (_, i) =>
    indices.slice(i * batchSize, (i + 1) * batchSize),
  );
  const rows: Float32Array[] = [];
  // The next batch is read while the graph runs on this one.
  let next = batches.length > 0 ? split.inputs(batches[0]!, abort) : undefined;
  let done = 0;
  for (let i = 0; i < batches.length; i++) {
    const inputs = await next!;
    next = i + 1 < batches.length ? split.inputs(batches[i + 1]!, abort) : undefined;
    next?.catch(() => undefined); // an error is thrown where it is awaited, even if this run fails first
    const outputs = await session.run({ ...inputs, ...feeds }, abort);
    const rowsOut = outputs["logits"] ?? outputs["features"];
    rows.push(rowsOut!.data as Float32Array);
    done += batches[i]!.length;
    o.onProgress?.(done, indices.length);
  }
  const all = new Float32Array(rows.reduce((sum, r) => sum + r.length, 0));
  let offset = 0;
  for (const r of rows) {
    all.set(r, offset);
    offset += r.length;
  }
  return all;
}

/**
 * @param logits  [names.length, classes]
 * @throws {GloraError} MODEL if a logit is not finite, naming the first such example
 */
export function requireFinite(logits: Float32Array, names: readonly string[], classes: number, model: string): void {
  const at = logits.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const example = names[Math.floor(at / classes)]!;
  throw new GloraError(
    "MODEL",
    `The logits of ${model} are not finite: ${logits[at]} for class ${at % classes} of ${example}. ` +
      "Its weights, its adapter or how its inputs are prepared are damaged.",
    { example, class: at % classes, actual: logits[at] },
  );
}

/**
 * The graph that {@link evaluate} runs. Of a language model it gives the loss and the hits, since its logits would be too
 * many to hand over.
 */
export const scoringGraph = (model: Model, o: Pick<AdaptedGraphOptions, "layout" | "head">): Graph =>
  adaptedGraph(
    model,
    model.rows === "tokens" ? { ...o, logits: false, loss: { kind: "cross-entropy" }, correct: true } : o,
  );

/** Scores a model on a split by its {@link scoringGraph}. */
export async function evaluate(
  session: Session,
  split: Split,
  model: Model,
  o: EvaluateOptions = {},
): Promise<Metrics> {
  if (model.rows === "tokens") return evaluateLanguage(session, split, model, o);
  const outputs = await outputsOf(session, split, o);
  return metricsOf(outputs, split, model, o.indices);
}

/** Metrics of outputs that are there already. */
export function metricsOf(
  outputs: Float32Array,
  split: Split,
  { loss, head }: Pick<Model, "loss" | "head">,
  indices: readonly number[] = allOf(split),
): Metrics {
  const targets = split.targets(indices);
  if (targets.kind === "labels") return classificationMetrics(outputs, targets.labels, head!.out);
  const { values } = targets;
  if (loss === "cosine") return valueMetrics(cosines(outputs, values.length), values, 1, "mse");
  return valueMetrics(outputs, values, head!.out, loss === "mse" ? "mse" : "binary-cross-entropy");
}

/** The cosine of each pair of neighbouring rows. */
function cosines(embeddings: Float32Array, pairs: number): Float32Array {
  const width = embeddings.length / (2 * pairs);
  return Float32Array.from({ length: pairs }, (_, pair) => {
    let [dot, a, b] = [0, 0, 0];
    for (let i = 2 * pair * width; i < (2 * pair + 1) * width; i++) {
      const [u, v] = [embeddings[i]!, embeddings[i + width]!];
      dot += u * v;
      a += u * u;
      b += v * v;
    }
    return dot / Math.sqrt(a * b + 1e-16);
  });
}

/** Texts of like lengths run together, few at a time: they are padded to the longest, and each scored token has a row of logits. */
const TEXTS = 8;

async function evaluateLanguage(
  session: Session,
  split: Split,
  model: Model,
  o: EvaluateOptions,
): Promise<LanguageMetrics> {
  const { feeds = {}, batchSize = TEXTS, signal } = o;
  const indices = byLength(split, o.indices ?? allOf(split));
  let [loss, correct, tokens] = [0, 0, 0];
  for (let from = 0; from < indices.length; from += batchSize) {
    const part = indices.slice(from, from + batchSize);
    const targets = split.targets(part);
    const rows = part.reduce((sum, i) => sum + split.rows(i), 0);
    const compared = lossFeeds(model, targets, new Float32Array(rows).fill(1));
    const inputs = await split.inputs(part, signal ? { signal } : {});
    const outputs = await session.run({ ...inputs, ...compared, ...feeds }, signal ? { signal } : {});
    loss += outputs["loss"]!.data[0] as number;
    correct += outputs["correct"]!.data[0] as number;
    tokens += rows;
    o.onProgress?.(from + part.length, indices.length);
  }
  const mean = loss / tokens;
  return { examples: indices.length, loss: mean, accuracy: correct / tokens, tokens, perplexity: Math.exp(mean) };
}

/** The examples in the order of their lengths, where these differ. */
export const byLength = ({ lengths }: Split, indices: readonly number[]): readonly number[] =>
  lengths ? [...indices].sort((a, b) => lengths[a]! - lengths[b]! || a - b) : indices;

const allOf = ({ size }: Split): number[] => Array.from({ length: size }, (_, i) => i);
