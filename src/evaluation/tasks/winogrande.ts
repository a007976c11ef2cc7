/** WinoGrande (Sakaguchi et al., 2020): which of two words a sentence means. */
import { GloraError } from "../../base/errors.js";
import { textOf, wholeOf } from "./fields.js";
import { strip } from "./python-text.js";
import type { BenchmarkTask } from "./task.js";

export const winogrande: BenchmarkTask = {
  name: "winogrande",
  dataset: { path: "allenai/winogrande", name: "winogrande_xl" },
  splits: { train: "train", validation: "validation" },
  version: 1,
  metrics: ["acc"],
  question(doc) {
    const sentence = textOf(doc, "sentence");
    const gap = sentence.indexOf("_");
    if (gap < 0)
      throw new GloraError("DATA", `"sentence": no gap (_) in ${JSON.stringify(sentence)}.`, { field: "sentence" });
    // The choices stand in the context; what is scored is the rest of the sentence, the same behind both.
    const rest = strip(sentence.slice(gap + 1));
    return {
      prompts: ["option1", "option2"].map((option) => sentence.slice(0, gap) + textOf(doc, option)),
      answers: [rest],
      gold: wholeOf(doc, "answer") - 1,
      target: rest,
    };
  },
};
