/** PIQA (Bisk et al., 2020): how things are done. */
import { textOf, wholeOf } from "./fields.js";
import type { BenchmarkTask } from "./task.js";

export const piqa: BenchmarkTask = {
  name: "piqa",
  dataset: { path: "baber/piqa" },
  splits: { train: "train", validation: "validation" },
  version: 1,
  metrics: ["acc", "acc_norm"],
  question(doc) {
    const gold = wholeOf(doc, "label");
    return {
      prompts: [`Question: ${textOf(doc, "goal")}\nAnswer:`],
      answers: [textOf(doc, "sol1"), textOf(doc, "sol2")],
      gold,
      target: `${gold}`,
    };
  },
};
