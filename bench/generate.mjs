// Tokens a second of glora and of transformers.js on the same ONNX Runtime, in turns, in one process.
//
//     node bench/generate.mjs MODEL [--rounds 5] [--prompt-words 200] [--tokens 64]
//
// MODEL is a folder with an ONNX file, as `glora merge` writes it. Both write the same number of tokens greedily; the best round counts.
import { readFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { AutoModelForCausalLM, env, Tensor } from "@huggingface/transformers";
import { openGenerator, openModel } from "../dist/index.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    "prompt-tokens": { type: "string", default: "200" },
    tokens: { type: "string", default: "64" },
  },
});
const [path] = positionals;
if (!path) throw new Error("Name the folder of a merged model.");
const [rounds, length, count] = [values.rounds, values["prompt-tokens"], values.tokens].map(Number);
const folder = resolve(path);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);

const model = await openModel(folder);
const generator = await openGenerator(model);
const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
const prompt = generator.tokenizer.encode(text).slice(0, length);
if (prompt.length < length) throw new Error(`The README has ${prompt.length} tokens only.`);
const other = await AutoModelForCausalLM.from_pretrained(basename(folder));

/** Seconds until the first token, and from there to the last. @returns {Promise<{ read: number, write: number, tokens: number[] }>} */
async function ours() {
  // Another text in between: nothing of the last round is remembered.
  for await (const _ of generator.generate([prompt.slice(0, 1).map(() => 0)], { maxTokens: 1 }));
  const started = performance.now();
  let first = started;
  const tokens = [];
  for await (const { token } of generator.generate([prompt], { maxTokens: count })) {
    if (tokens.length === 0) first = performance.now();
    if (token !== undefined) tokens.push(token);
  }
  return { read: (first - started) / 1000, write: (performance.now() - first) / 1000, tokens };
}

/** @returns {Promise<{ read: number, write: number, tokens: number[] }>} */
async function theirs() {
  const ids = () => new Tensor("int64", BigInt64Array.from(prompt, BigInt), [1, prompt.length]);
  const mask = () => new Tensor("int64", new BigInt64Array(prompt.length).fill(1n), [1, prompt.length]);
  const run = async (/** @type {number} */ n) => {
    const started = performance.now();
    const inputs = { input_ids: ids(), attention_mask: mask() };
    const output = await other.generate({ ...inputs, max_new_tokens: n, do_sample: false });
    return { seconds: (performance.now() - started) / 1000, output };
  };
  const { seconds: read } = await run(1);
  const { seconds, output } = await run(count);
  const tokens = /** @type {Tensor} */ (output).tolist()[0].slice(prompt.length).map(Number);
  return { read, write: seconds - read, tokens };
}

console.log(
  `${cpus()[0]?.model}, ${cpus().length} processors, load ${loadavg()[0]?.toFixed(1)}, node ${process.version}`,
);
console.log(`${basename(folder)}: ${length} tokens read, ${count} written, greedy; the best of ${rounds} rounds`);
const sides = { glora: ours, "transformers.js": theirs };
const best = { glora: { read: Infinity, write: Infinity }, "transformers.js": { read: Infinity, write: Infinity } };
/** @type {Record<string, number[]>} */
const tokens = {};
for (let round = 0; round < rounds; round++)
  for (const [name, side] of Object.entries(sides)) {
    const took = await side();
    const so = best[/** @type {keyof typeof best} */ (name)];
    so.read = Math.min(so.read, took.read);
    so.write = Math.min(so.write, took.write);
    tokens[name] = took.tokens;
  }
const [written, same] = [
  tokens["glora"] ?? [],
  JSON.stringify(tokens["glora"]) === JSON.stringify(tokens["transformers.js"]),
];
console.log(`                  read (tokens/s)   write (tokens/s)`);
for (const [name, { read, write }] of Object.entries(best))
  console.log(
    `${name.padEnd(16)} ${(length / read).toFixed(0).padStart(12)} ${((written.length - 1) / write).toFixed(1).padStart(18)}`,
  );
const [a, b] = [best.glora, best["transformers.js"]];
console.log(
  `glora / transformers.js ${(b.read / a.read).toFixed(2).padStart(5)} ${(b.write / a.write).toFixed(2).padStart(18)}`,
);
console.log(same ? "The same tokens." : "The tokens differ.");
await generator.dispose();
await model.runtime.dispose();
await other.dispose();
