/** Runs a model over a split and scores what it says. */
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import type { Split } from "../data/dataset.js";
import type { Session } from "../runtime/runtime.js";
import { classificationMetrics, type Metrics } from "./metrics.js";

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
  const indices = o.indices ?? Array.from({ length: split.size }, (_, i) => i);
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
      "Its weights, its adapter or how its images are prepared (mean, std) are damaged.",
    { example, class: at % classes, actual: logits[at] },
  );
}

/** Metrics of a classifier on a split. */
export async function evaluate(
  session: Session,
  split: Split,
  classes: number,
  o: EvaluateOptions = {},
): Promise<Metrics> {
  const logits = await outputsOf(session, split, o);
  const labels = o.indices ? Int32Array.from(o.indices, (i) => split.labels[i]!) : split.labels;
  return classificationMetrics(logits, labels, classes);
}
