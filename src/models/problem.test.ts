import { expect, test } from "vitest";
import { Fields } from "../formats/fields.js";
import { lossOfTask, problemFields, readLabels, readLoss } from "./problem.js";

const labels = (config: object) => readLabels(new Fields(config));

test("labels are those of the config, in order; transformers does not write the usual two", () => {
  expect(labels({ id2label: { 1: "dog", 0: "cat", 2: "ox" } })).toEqual(["cat", "dog", "ox"]);
  expect(labels({ num_labels: 3 })).toEqual(["LABEL_0", "LABEL_1", "LABEL_2"]);
  expect(labels({})).toEqual(["LABEL_0", "LABEL_1"]);
});

test("labels with a gap, and more than memory holds, are problems", () => {
  const gap = new Fields({ id2label: { 0: "a", 2: "b" } });
  readLabels(gap);
  expect(gap.problems).toEqual(["id2label.1: is missing; a text is expected"]);
  const many = new Fields({ num_labels: 1e9 });
  readLabels(many);
  expect(many.problems).toEqual(["num_labels: at most 1000000 is expected, not 1000000000"]);
});

test("one label is a regression; the config can say otherwise, but not that one label is a choice", () => {
  const loss = (count: number, problem?: string) => {
    const fields = new Fields({ problem_type: problem });
    return [readLoss(fields, count), ...fields.problems];
  };
  expect(loss(1)).toEqual(["mse"]);
  expect(loss(2)).toEqual(["cross-entropy"]);
  expect(loss(2, "regression")).toEqual(["mse"]);
  expect(loss(1, "multi_label_classification")).toEqual(["binary-cross-entropy"]);
  expect(loss(1, "single_label_classification")).toEqual([
    "cross-entropy",
    "problem_type: one label is no choice of classes",
  ]);
});

test("what is written of a new head is read again as it was", () => {
  for (const kind of ["classes", "multi-label", "regression"] as const)
    for (const names of [["a"], ["b", "c", "d"]]) {
      const loss = lossOfTask({ kind, labels: names });
      const fields = new Fields(problemFields(names, loss));
      expect([readLabels(fields), readLoss(fields, names.length), fields.problems]).toEqual([names, loss, []]);
    }
});
