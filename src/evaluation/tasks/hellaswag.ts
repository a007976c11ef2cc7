/** HellaSwag (Zellers et al., 2019): which sentence follows. */
import { textOf, textsOf, wholeOf } from "./fields.js";
import { capitalize, strip } from "./python-text.js";
import type { BenchmarkTask } from "./task.js";

/** Takes out what is left of WikiHow's markup. */
const clean = (text: string): string =>
  strip(text)
    .replaceAll(" [title]", ". ")
    .replaceAll(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");

export const hellaswag: BenchmarkTask = {
  name: "hellaswag",
  dataset: { path: "Rowan/hellaswag" },
  splits: { train: "train", validation: "validation" },
  version: 1,
  metrics: ["acc", "acc_norm"],
  process: (doc) => ({
    ...doc,
    query: clean(`${textOf(doc, "activity_label")}: ${textOf(doc, "ctx_a")} ${capitalize(textOf(doc, "ctx_b"))}`),
    choices: textsOf(doc, "endings").map(clean),
    gold: wholeOf(doc, "label"),
  }),
  question(doc) {
    const gold = wholeOf(doc, "gold");
    return { prompts: [textOf(doc, "query")], answers: textsOf(doc, "choices"), gold, target: `${gold}` };
  },
};
