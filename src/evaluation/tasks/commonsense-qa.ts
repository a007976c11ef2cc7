/** CommonsenseQA (Talmor et al., 2019). */
import { textOf, textsOf } from "./fields.js";
import { lettered } from "./lettered.js";
import { strip } from "./python-text.js";
import type { BenchmarkTask } from "./task.js";

export const commonsenseQa: BenchmarkTask = {
  name: "commonsense_qa",
  dataset: { path: "tau/commonsense_qa" },
  splits: { train: "train", validation: "validation" },
  metrics: ["acc"],
  question(doc) {
    const { prompt, letters } = lettered(
      `Question: ${strip(textOf(doc, "question"))}`,
      textsOf(doc, "choices.text", 5),
    );
    const target = textOf(doc, "answerKey");
    return { prompts: [prompt], answers: letters, gold: letters.indexOf(target), target };
  },
};
