import { expect, test } from "vitest";
import { arcEasy } from "./arc.js";
import { hellaswag } from "./hellaswag.js";
import { selectTasks } from "./index.js";
import { piqa } from "./piqa.js";
import { prepareTask } from "./prompts.js";
import type { BenchmarkTask, Doc } from "./task.js";
import { winogrande } from "./winogrande.js";

const prepare = (task: BenchmarkTask, doc: Doc, shots = 0) => prepareTask(task, async () => [doc], { shots });
const arc = { question: "?", choices: { text: ["a", "b"], label: ["A", "B"] }, answerKey: "A" };

test.each<[string, BenchmarkTask, Doc, string]>([
  ["a field that is missing", piqa, { goal: "g", sol1: "a", label: 0 }, '"sol2": a text is expected, found nothing.'],
  [
    "a field of another kind",
    arcEasy,
    { ...arc, choices: "a" },
    '"choices.label": a list of texts is expected, found nothing.',
  ],
  ["an answer that is no choice", arcEasy, { ...arc, answerKey: "C" }, "its answer is none of its 2 choices."],
  [
    "a label that is no number",
    hellaswag,
    { activity_label: "", ctx_a: "", ctx_b: "", endings: ["a"], label: "" },
    '"label": a whole number is expected, found "".',
  ],
  ["a sentence without a gap", winogrande, { sentence: "x" }, '"sentence": no gap (_) in "x".'],
])("%s is told with its document", async (_, task, doc, message) => {
  const where = `${task.name}: document 1 of its ${task.splits.test ?? "validation"} split: `;
  await expect(prepare(task, doc)).rejects.toMatchObject({ code: "DATA", message: where + message });
});

test("too few documents for the shots are told", async () => {
  await expect(prepare(arcEasy, arc, 2)).rejects.toThrow(
    "arc_easy: 2 shots need at least 2 documents in its train split, found 1. Ask for fewer shots.",
  );
});

test("an empty split is told", async () => {
  await expect(prepareTask(piqa, async () => [], { shots: 0 })).rejects.toThrow("piqa: its validation split is empty.");
});

test("a name that is not known is told, with those that are", () => {
  expect(() => selectTasks(["arc_easy", "arc"])).toThrow(
    /^There is no task "arc"\. Known are arc_challenge, .*mmlu, the parts/,
  );
});

test("a task that is named twice, or by its group too, is scored once", () => {
  const { tasks, groups } = selectTasks(["mmlu_anatomy", "mmlu_stem", "mmlu_stem"]);
  expect(tasks).toHaveLength(19);
  expect(groups.map(({ name }) => name)).toEqual(["mmlu_stem"]);
});
