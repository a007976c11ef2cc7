/** OpenBookQA (Mihaylov et al., 2018): school science that needs a fact and common sense. */
import { textOf, textsOf } from "./fields.js";
import { stripStart } from "./python-text.js";
import type { BenchmarkTask } from "./task.js";

export const openbookqa: BenchmarkTask = {
  name: "openbookqa",
  dataset: { path: "allenai/openbookqa", name: "main" },
  splits: { train: "train", validation: "validation", test: "test" },
  version: 1,
  metrics: ["acc", "acc_norm"],
  question(doc) {
    const gold = textsOf(doc, "choices.label").indexOf(stripStart(textOf(doc, "answerKey")));
    return {
      prompts: [textOf(doc, "question_stem")],
      answers: textsOf(doc, "choices.text"),
      gold,
      target: `${gold}`,
    };
  },
};
