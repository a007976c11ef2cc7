/** Metrics of a document, of a task and of a group of tasks, as lm-evaluation-harness computes them. */
import { codePoints } from "./python-text.js";
import type { BenchmarkTask, Doc, Question } from "./task.js";

/** The first of the largest. */
function argmax(values: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/**
 * The metrics of one document.
 *
 *     acc       1 if the right choice has the largest log p
 *     acc_norm  1 if it has the largest log p / number of characters of the choice
 *
 * @param logLikelihoods  of each choice: the log of its probability behind the question
 */
export function scoreDocument(
  task: BenchmarkTask,
  doc: Doc,
  { answers, gold }: Question,
  logLikelihoods: readonly number[],
): Readonly<Record<string, number>> {
  if (task.score) return task.score(doc, logLikelihoods);
  const values = {
    acc: () => logLikelihoods,
    acc_norm: () => logLikelihoods.map((value, i) => value / codePoints(answers[i]!)),
  };
  return Object.fromEntries(task.metrics.map((metric) => [metric, +(argmax(values[metric]()) === gold)]));
}

/** A mean, and its standard error where there is one. */
export interface Estimate {
  readonly mean: number;
  /** s / √n with s the sample's deviation; undefined for a single document. */
  readonly error: number | undefined;
  /** Number of documents. */
  readonly size: number;
}

export function estimate(values: readonly number[]): Estimate {
  const size = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / size;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: size > 1 ? Math.sqrt(squares / (size - 1) / size) : undefined, size };
}

/**
 * The estimate of a group, weighted by size.
 *
 *     mean = Σ nᵢ·meanᵢ / Σ nᵢ        error² = Σ (nᵢ − 1)·nᵢ·errorᵢ² / (Σ nᵢ − k) / Σ nᵢ     (pooled variance)
 */
export function pooled(parts: readonly Estimate[]): Estimate {
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const mean = parts.reduce((sum, part) => sum + part.mean * part.size, 0) / size;
  if (parts.some(({ error }) => error === undefined)) return { mean, error: undefined, size };
  const squares = parts.reduce((sum, part) => sum + (part.size - 1) * part.size * part.error! ** 2, 0);
  return { mean, error: Math.sqrt(squares / (size - parts.length) / size), size };
}
