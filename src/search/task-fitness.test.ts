import { expect, test } from "vitest";
import { fitnessQuestions } from "./task-fitness.js";

const DOCS = {
  piqa: { goal: "to sleep", sol1: "lie down", sol2: "stand up", label: 0 },
  mmlu_anatomy: { question: "how many?", choices: ["1", "2", "3", "4"], answer: 2 },
};

test.each([
  ["piqa", "train"], // its validation split is what an evaluation scores
  ["mmlu_anatomy", "validation"],
] as const)("%s chooses by its %s split", async (task, split) => {
  const read: string[] = [];
  const source = () => async (name: string) => {
    read.push(name);
    return [DOCS[task]];
  };
  const [prepared] = await fitnessQuestions({ settings: { tasks: [task], data: "tasks" }, source });
  expect(read).toEqual([split]);
  expect(prepared!.documents).toHaveLength(1);
});

test("a task whose only examples are scored is refused", async () => {
  const source = () => async () => [];
  await expect(fitnessQuestions({ settings: { tasks: ["truthfulqa_mc1"], data: "tasks" }, source })).rejects.toThrow(
    "truthfulqa_mc1: its data has no examples but those that an evaluation scores",
  );
});
