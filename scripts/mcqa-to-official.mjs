/**
 * Writes the multiple-choice sets of Nutcracker-DB (one folder each, JSON lines of {centerpiece, options,
 * correct_options_idx}) in the schemas that the data sets have on the Hugging Face hub, for `glora eval --task-data`.
 *
 *     node scripts/mcqa-to-official.mjs DIR [../shared/data/text/mcqa/db]
 *
 * Nutcracker has two parts of each set: `test`, and `dev` with examples. The second becomes the split that a task takes
 * its shots from. TruthfulQA has no examples, HellaSwag is not there.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const letters = "ABCDEFGHIJ";
const labelled = (options) => ({ text: options, label: [...letters].slice(0, options.length) });

/** Official schema, names of the two splits, and where they go. */
const SETS = {
  "arc-challenge": { to: "ai2_arc/ARC-Challenge", test: "test", dev: "train", convert: arc },
  "arc-easy": { to: "ai2_arc/ARC-Easy", test: "test", dev: "train", convert: arc },
  commonsenseqa: {
    to: "commonsense_qa",
    test: "validation",
    dev: "train",
    convert: ({ question, options, right }, id) => ({
      id,
      question,
      question_concept: "",
      choices: { label: labelled(options).label, text: options },
      answerKey: letters[right],
    }),
  },
  openbookqa: {
    to: "openbookqa/main",
    test: "test",
    dev: "train",
    convert: ({ question, options, right }, id) => ({
      id,
      question_stem: question,
      choices: labelled(options),
      answerKey: letters[right],
    }),
  },
  piqa: {
    to: "piqa",
    test: "validation",
    dev: "train",
    convert: ({ question, options: [sol1, sol2], right }) => ({ goal: question, sol1, sol2, label: right }),
  },
  "truthfulqa-mc1": {
    to: "truthful_qa/multiple_choice",
    test: "validation",
    // The right answer comes first there, and mc2 asks for more than one.
    convert: ({ question, options, right }) => {
      const choices = [options[right], ...options.filter((_, i) => i !== right)];
      const targets = { choices, labels: choices.map((_, i) => +(i === 0)) };
      return { question, mc1_targets: targets, mc2_targets: targets };
    },
  },
  winogrande: {
    to: "winogrande/winogrande_xl",
    test: "validation",
    dev: "train",
    convert: ({ question, options: [option1, option2], right }) => ({
      sentence: question,
      option1,
      option2,
      answer: `${right + 1}`,
    }),
  },
};

function arc({ question, options, right }, id) {
  return { id, question, choices: labelled(options), answerKey: letters[right] };
}

const mmlu = (subject) => ({
  to: `mmlu/${subject}`,
  test: "test",
  dev: "dev",
  convert: ({ question, options, right }) => ({ question, subject, choices: options, answer: right }),
});

const [out, db = "../shared/data/text/mcqa/db"] = process.argv.slice(2);
if (!out) {
  console.error("node scripts/mcqa-to-official.mjs DIR [DB]");
  process.exit(2);
}
let written = 0;
for (const name of readdirSync(db)) {
  const set = name.startsWith("mmlu-") ? mmlu(name.slice(5).replaceAll("-", "_")) : SETS[name];
  if (!set) continue;
  for (const part of ["test", "dev"]) {
    const file = join(db, name, `${part}.json`);
    if (!existsSync(file) || !set[part]) continue;
    const records = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line, i) => {
        const { centerpiece, options, correct_options_idx: right } = JSON.parse(line);
        const record = set.convert({ question: centerpiece, options, right: right[0] }, `${name}-${part}-${i}`);
        return JSON.stringify(record);
      });
    mkdirSync(join(out, set.to), { recursive: true });
    writeFileSync(join(out, set.to, `${set[part]}.jsonl`), `${records.join("\n")}\n`);
    written++;
  }
}
console.log(`${written} files in ${out}`);
