/** ARC (Clark et al., 2018): questions of school science. */
import { textOf, textsOf } from "./fields.js";
import type { BenchmarkTask } from "./task.js";

const arc = (name: string, configuration: string): BenchmarkTask => ({
  name,
  dataset: { path: "allenai/ai2_arc", name: configuration },
  splits: { train: "train", validation: "validation", test: "test" },
  version: 1,
  metrics: ["acc", "acc_norm"],
  question(doc) {
    const gold = textsOf(doc, "choices.label").indexOf(textOf(doc, "answerKey"));
    return {
      prompts: [`Question: ${textOf(doc, "question")}\nAnswer:`],
      answers: textsOf(doc, "choices.text"),
      gold,
      target: `${gold}`,
    };
  },
});

export const arcEasy = arc("arc_easy", "ARC-Easy");
export const arcChallenge = arc("arc_challenge", "ARC-Challenge");
