import { GloraError } from "../base/errors.js";

/** How well a model says what its data says, whatever that is. */
export interface Metrics {
  readonly examples: number;
  /** Mean of the model's loss: of cross-entropy in natural logarithms. */
  readonly loss: number;
  /**
   * Larger is better, at most 1: the share of classes, labels or next tokens that are right; of numbers, their correlation
   * with those of the data (Pearson's, the mean over outputs).
   */
  readonly accuracy: number;
}

/** Of a language model. */
export interface LanguageMetrics extends Metrics {
  /** Scored tokens. */
  readonly tokens: number;
  /** e to the loss. */
  readonly perplexity: number;
}

/** Of numbers. */
export interface NumberMetrics extends Metrics {
  /** Pearson's correlation with those of the data, the mean over outputs: the accuracy. */
  readonly correlation: number;
}

/** Of classes. All numbers but counts and loss are shares, 0 … 1; NaN where there are no examples. */
export interface ClassificationMetrics extends Metrics {
  /** Mean recall of the classes that occur among the labels. */
  readonly balancedAccuracy: number;
  /** Mean F1 = 2·hits / (predicted + labelled) of the classes that occur among labels or predictions. */
  readonly macroF1: number;
  /** Share of examples whose class is among the five largest logits (all, where there are five classes or fewer). */
  readonly top5: number;
  /** `confusion[label][prediction]`: numbers of examples. */
  readonly confusion: readonly (readonly number[])[];
}

/**
 * Scores logits [n, classes] against n labels. A class's rank is the number of classes with a larger logit, or an equal
 * one and a smaller index; the prediction has rank 0. An example with a NaN among its logits counts as wrong and stands
 * in no column of the confusion matrix.
 *
 * @throws {GloraError} DATA if a label is no class, GRAPH if logits and labels do not fit each other
 * @see scikit-learn: accuracy_score, balanced_accuracy_score, f1_score(average="macro"), top_k_accuracy_score (there, of
 *   equal logits the larger index comes first), log_loss
 */
export function classificationMetrics(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
): ClassificationMetrics {
  const examples = labels.length;
  if (logits.length !== examples * classes)
    throw new GloraError("GRAPH", `Expected ${examples} × ${classes} logits, got ${logits.length}.`);
  checkLabels(labels, classes);
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  let loss = 0;
  let inTop5 = 0;
  for (let i = 0; i < examples; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const label = labels[i]!;
    loss += crossEntropy(row, label);
    if (row.some(Number.isNaN)) continue;
    if (rank(row, label) < 5) inTop5++;
    confusion[label]![argmax(row)]!++;
  }

  const labelled = countLabels(labels, classes);
  const predicted = confusion.map((_, c) => sum(confusion.map((row) => row[c]!)));
  const hits = confusion.map((row, c) => row[c]!);
  const all = hits.map((_, c) => c);
  return {
    examples,
    loss: loss / examples,
    accuracy: sum(hits) / examples,
    balancedAccuracy: mean(all.filter((c) => labelled[c]! > 0).map((c) => hits[c]! / labelled[c]!)),
    macroF1: mean(
      all.filter((c) => labelled[c]! + predicted[c]! > 0).map((c) => (2 * hits[c]!) / (labelled[c]! + predicted[c]!)),
    ),
    top5: inTop5 / examples,
    confusion,
  };
}

/**
 * A weight for each class that makes all classes count the same in a loss: n / (k·n_c), with n examples, k classes that
 * occur and n_c examples of class c; 0 for a class that does not occur.
 *
 * @see scikit-learn, compute_class_weight("balanced")
 */
export function balancedClassWeights(labels: Int32Array, classes: number): Float32Array {
  checkLabels(labels, classes);
  const counts = countLabels(labels, classes);
  const occurring = counts.filter((count) => count > 0).length;
  return Float32Array.from(counts, (count) => (count === 0 ? 0 : labels.length / (occurring * count)));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const mean = (numbers: readonly number[]): number => sum(numbers) / numbers.length;

function countLabels(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

function checkLabels(labels: Int32Array, classes: number): void {
  const wrong = labels.findIndex((label) => label < 0 || label >= classes);
  if (wrong >= 0)
    throw new GloraError("DATA", `Example ${wrong} has label ${labels[wrong]}; expected 0 … ${classes - 1}.`, {
      example: wrong,
      label: labels[wrong],
      classes,
    });
}

/** −log softmax(row)[label], the largest logit taken out so that nothing overflows. */
function crossEntropy(row: Float32Array, label: number): number {
  const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
  return Math.log(row.reduce((total, logit) => total + Math.exp(logit - largest), 0)) - (row[label]! - largest);
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let c = 1; c < row.length; c++) if (row[c]! > row[best]!) best = c;
  return best;
}

function rank(row: Float32Array, label: number): number {
  const own = row[label]!;
  let before = 0;
  for (let c = 0; c < row.length; c++) if (row[c]! > own || (row[c] === own && c < label)) before++;
  return before;
}

/**
 * Scores of outputs [rows, outputs] against numbers of the same shape.
 *
 * @param loss  `mse`: the numbers themselves; `binary-cross-entropy`: 1 for a label, 0 for none, and outputs are logits
 */
export function valueMetrics(
  outputs: Float32Array,
  values: Float32Array,
  columns: number,
  loss: "mse" | "binary-cross-entropy",
): Metrics | NumberMetrics {
  if (outputs.length !== values.length)
    throw new GloraError("GRAPH", `Expected ${values.length} outputs, got ${outputs.length}.`);
  const examples = values.length / columns;
  if (loss === "mse") {
    const column = (all: Float32Array, c: number) => Array.from({ length: examples }, (_, i) => all[i * columns + c]!);
    const correlations = Array.from({ length: columns }, (_, c) => correlation(column(outputs, c), column(values, c)));
    const squares = Array.from(outputs, (y, i) => (y - values[i]!) ** 2);
    const found = mean(correlations);
    return { examples, loss: mean(squares), accuracy: found, correlation: found };
  }
  const losses = Array.from(outputs, (y, i) => Math.max(y, 0) + Math.log1p(Math.exp(-Math.abs(y))) - values[i]! * y);
  const right = Array.from(outputs, (y, i) => Number(y > 0 === values[i]! > 0.5));
  return { examples, loss: mean(losses), accuracy: mean(right) };
}

/** Pearson's correlation; 0 where one side does not vary. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [mean(a), mean(b)];
  const together = sum(a.map((x, i) => (x - meanA) * (b[i]! - meanB)));
  const spread = Math.sqrt(sum(a.map((x) => (x - meanA) ** 2)) * sum(b.map((y) => (y - meanB) ** 2)));
  return spread === 0 ? 0 : together / spread;
}
