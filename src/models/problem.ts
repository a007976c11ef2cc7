/** Labels and problem of a classifier, as transformers' configs say them. */
import type { Task } from "../data/task.js";
import type { Fields } from "../formats/fields.js";
import type { Loss } from "./loss.js";

/** More names than any head has would fill the memory before the weights are looked at. */
const MOST_LABELS = 1_000_000;

/** `num_labels` is not written by transformers; two labels with the default names are not written at all. */
export function readLabels(fields: Fields): string[] {
  if (fields.has("id2label")) {
    const byId = fields.object("id2label");
    return byId.keys.map((_, i) => byId.text(`${i}`));
  }
  const count = fields.natural("num_labels", 2);
  if (count <= MOST_LABELS) return Array.from({ length: count }, (_, i) => `LABEL_${i}`);
  fields.refuse("num_labels", `at most ${MOST_LABELS} is expected, not ${count}`);
  return [];
}

const PROBLEMS = {
  single_label_classification: "cross-entropy",
  multi_label_classification: "binary-cross-entropy",
  regression: "mse",
} as const;

/** One label is a regression unless the config says otherwise; several are classes. */
export function readLoss(fields: Fields, labels: number): Loss {
  const loss = fields.choice("problem_type", labels === 1 ? "regression" : "single_label_classification", PROBLEMS);
  if (labels === 1 && loss === "cross-entropy") fields.refuse("problem_type", "one label is no choice of classes");
  return loss;
}

/** The loss of a new head. transformers takes one class for a regression, and cannot be told otherwise. */
export function lossOfTask(task: Task & { readonly labels: readonly string[] }): Loss {
  if (task.kind === "multi-label") return "binary-cross-entropy";
  return task.kind === "regression" || task.labels.length === 1 ? "mse" : "cross-entropy";
}

/** What a config says of a new head. */
export function problemFields(labels: readonly string[], loss: Loss): Readonly<Record<string, unknown>> {
  return {
    id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    problem_type: Object.entries(PROBLEMS).find(([, of]) => of === loss)![0],
  };
}
