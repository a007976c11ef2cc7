// What transformers.js makes of a merged folder, beside what glora makes of it: a decoder's greedy text, a classifier's
// labels, an encoder's embeddings. Exit code 1 where they differ.
//
//     node scripts/parity/transformers-js-text.mjs MERGED [TEXTS]     # TEXTS: a file of texts, such as a .txt of lines or a .tsv
import { basename, dirname, resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";
import { generate, inference, openModel, outputsOf, predict, unlabelledTexts } from "glora";

const [merged, file] = process.argv.slice(2);
if (!merged) throw new Error("Name the merged folder.");
const folder = resolve(merged);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const name = basename(folder);
const NEW_TOKENS = 48;

const model = await openModel(folder);
const { input } = model;
if (input.kind !== "text") throw new Error(`${folder} is no text model.`);
const tokenizer = await input.tokenizer();
const given = file ? await unlabelledTexts(file) : undefined;
const texts = given?.texts ?? [
  "The capital of France is",
  "Once upon a time, there was a",
  "def add(a, b):",
  "I think 👍🏽",
];

let [equal, count] = [0, 0];
let largest = 0;
if (model.rows === "tokens") {
  const writer = await pipeline("text-generation", name);
  /** @type {import("glora").Prompt[]} */
  const prompts = [...texts];
  if (tokenizer.chat) prompts.push([{ role: "user", content: "What is the capital of France?" }]);
  for (const prompt of prompts) {
    let ours = "";
    for await (const { text } of generate(model, [prompt], { maxTokens: NEW_TOKENS })) ours += text;
    const options = { max_new_tokens: NEW_TOKENS, do_sample: false };
    /** @type {any} */
    const [{ generated_text: all }] = await writer(/** @type {any} */ (prompt), options);
    const theirs = typeof prompt === "string" ? all.slice(prompt.length) : all.at(-1).content;
    count++;
    if (ours === theirs) equal++;
    else console.log({ prompt, ours, theirs });
  }
  console.log(`${equal} of ${count} texts of ${NEW_TOKENS} tokens equal`);
} else {
  if (!given) throw new Error("Name a file of texts.");
  const { split } = await given.prepare(input);
  if (model.head) {
    const classify = await pipeline("text-classification", name);
    let i = 0;
    for await (const { label, labels, probability = 0 } of predict(model, split)) {
      /** @type {any} */
      const answers = await classify(texts[i++] ?? "", { top_k: 1000 });
      const scores = new Map(answers.map((/** @type {any} */ answer) => [answer.label, answer.score]));
      const ours = labels ?? { [label ?? ""]: probability };
      largest = Math.max(largest, ...Object.entries(ours).map(([key, p]) => Math.abs(p - scores.get(key))));
      count++;
      if (labels || answers[0].label === label) equal++;
    }
    console.log(`${equal} of ${count} labels equal, probabilities differ by ${largest.toExponential(1)} at most`);
  } else {
    const { graph, feeds } = inference(model);
    const session = await model.runtime.open(graph);
    const ours = await outputsOf(session, split, { feeds });
    const extract = await pipeline("feature-extraction", name);
    const width = ours.length / split.size;
    for (let i = 0; i < split.size; i++) {
      const theirs = (await extract(texts[i] ?? "", { pooling: "mean" })).data;
      const difference = Math.max(
        ...theirs.map((/** @type {number} */ value, /** @type {number} */ k) =>
          Math.abs(value - (ours[i * width + k] ?? 0)),
        ),
      );
      largest = Math.max(largest, difference);
      count++;
      if (difference < 1e-4) equal++;
    }
    console.log(`${equal} of ${count} embeddings equal to 1e-4, at most ${largest.toExponential(1)} apart`);
  }
}
await model.runtime.dispose();
process.exit(equal === count && largest < 1e-4 ? 0 : 1);
