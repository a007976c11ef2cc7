// Time and memory of training steps and forward passes, beside PyTorch where it is installed: what bench/README.md explains.
//
//     npm run bench [-- --quick] [--python PATH] [--smollm2 FOLDER] [--only vector,lora] [--profile] [--rounds N] [--threads N]
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { embeddedModel, encodeSafetensors, mergeModel, openModel, rngStream } from "../dist/index.js";
import { examples, LOW_RANK, structuresOf, trainedModel } from "./configurations.mjs";
import { IMAGE_GROUPS, MICRO_GROUPS, TEXT_GROUPS } from "./groups.mjs";
import { machine, peersOf } from "./machine.mjs";
import { askOnce, takeTurns, WARM_UP } from "./rounds.mjs";
import { sidesOf } from "./sides.mjs";
import { printComparison, printProfile, shareOf } from "./tables.mjs";
import { writeVit } from "./vit.mjs";

/**
 * @import { Images, Texts } from "./configurations.mjs"
 * @import { Group } from "./groups.mjs"
 * @import { Result } from "./rounds.mjs"
 */

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    python: { type: "string", default: "python3" },
    smollm2: { type: "string" },
    only: { type: "string" },
    rounds: { type: "string" },
    threads: { type: "string" },
    out: { type: "string" },
    seed: { type: "string", default: "0" },
  },
});
const seed = Number(values.seed);
const rounds = Number(values.rounds ?? (values.quick ? 3 : 15));
const size = values.quick ? { layers: 1, profiled: 1, tokens: 32 } : { layers: 6, profiled: 5, tokens: 128 };
const only = values.only?.split(",");
const smollm2 = values.smollm2 ?? process.env["GLORA_SMOLLM2"];
const CLASSES = 100;

const folder = await mkdtemp(join(tmpdir(), "glora-bench-"));
try {
  await benchmark();
} finally {
  await rm(folder, { recursive: true });
}

async function benchmark() {
  const peers = await peersOf(values.python);
  const found = await machine();
  const threads = Number(values.threads ?? found.cores);
  const about = { ...found, threads, seed, warmUp: WARM_UP, rounds, ...(peers && { peers }) };
  console.log(`${about.cpu}, ${about.threads} threads, ${about.flags.join(" ") || "no vector flags found"}`);
  const libraries = { node: about.node, glora: about.glora, "onnxruntime-node": about.onnxruntime, ...peers };
  console.log(`${Object.entries(libraries).flat().join(" ")}, seed ${seed}`);
  if (!peers)
    console.log(`${values.python} lacks torch, timm, transformers or peft: there is nothing to compare with.`);
  if (about.load > 0.5)
    console.log(
      `The machine is not quiet (load ${about.load}): with --threads 1, ratios of processor time still mean something.`,
    );
  const sides = sidesOf({ threads, seed, ...(peers && { python: values.python }) });

  const whole = !values.quick && !only && !values.rounds && !values.threads;
  const own = whole ? fileURLToPath(new URL(`./results/${about.slug}.json`, import.meta.url)) : undefined;
  const out = values.out ?? own;
  if (out) await mkdir(dirname(out), { recursive: true });
  /** @type {Record<string, unknown>} */ const results = {};
  /** Written at once: a run that ends early leaves what it has measured. @param {string} part @param {unknown} measured */
  const keep = async (part, measured) => {
    results[part] = measured;
    if (out) await writeFile(out, `${JSON.stringify({ ...about, ...results }, undefined, 1)}\n`);
  };

  if (wanted("products")) await keep("products", await products(sides));
  const vit = join(folder, "vit");
  await writeVit(vit, { layers: size.layers, classes: CLASSES, seed });
  /** @type {Images} */
  const images = { kind: "images", batch: 8, size: 224, classes: CLASSES, seed };
  const title = `ViT-B/16 of random weights, ${size.layers} layers, batch ${images.batch}, ${images.size} pixels`;
  await keep("vit", await compare(IMAGE_GROUPS, vit, images, sides, { title }));
  if (wanted("merged")) await keep("merged", await merged(vit, images, sides));
  if (smollm2) await keep("smollm2", await language(smollm2, sides));
  else console.log("\nNo language model: name the folder of SmolLM2-135M by --smollm2 or GLORA_SMOLLM2.");
  /** @type {Images} */
  const small = { kind: "images", batch: 32, size: 32, classes: CLASSES, seed };
  const micro = { title: `vit-micro, batch ${small.batch}, ${small.size} pixels`, times: 4 };
  await keep("micro", await compare(MICRO_GROUPS, embeddedModel, small, sides, micro));
  if (wanted("search")) await keep("search", await search(sides));

  if (out) console.log(`\nwritten to ${out}`);
  else console.log("\nNothing is written: only a whole run has a file of its own. Name one with --out FILE.");
}

/** @typedef {ReturnType<typeof sidesOf>} Sides */

/** @param {string} key */
function wanted(key) {
  return !only || only.includes(key);
}

/** ONNX Runtime's products beside PyTorch's: whose library is faster, before anything is adapted. @param {Sides} sides */
async function products(sides) {
  const results = await takeTurns(sides.products(), { rounds: 4 * rounds, request: () => ({}) });
  printComparison("products of 1576×768 by 768×3072", results);
  return results;
}

/**
 * Every group of steps, and where the time of ours goes.
 * @param {Record<string, Group>} groups @param {string} model @param {Images | Texts} o @param {Sides} sides
 * @param {{ title: string, times?: number }} how
 */
async function compare(groups, model, o, { ours, torch, products }, { title, times = 1 }) {
  const chosen = Object.entries(groups).filter(([key]) => wanted(key));
  if (chosen.length === 0) return undefined;
  console.log(`\n# ${title}`);
  const data = join(folder, "examples.safetensors");
  await writeExamples(data, o);
  const opened = await openModel(model);
  /** @type {Record<string, unknown>} */ const all = {};
  for (const [key, group] of chosen) {
    const draw = structuresOf(opened, rngStream(seed, "structures"));
    const request = () => (group.drawn ? { structures: draw() } : {});
    const own = { model, configuration: group.ours, examples: o };
    const peers = Object.entries(group.peers).flatMap(([name, configuration]) =>
      torch(name, { task: "step", model, configuration, examples: data }),
    );
    const results = await takeTurns([ours("glora", { task: "step", ...own }), ...peers, ...products()], {
      rounds: times * rounds,
      request,
    });
    const profile = await askOnce(ours("profile", { task: "profile", ...own, runs: size.profiled }), request());
    printComparison(`${group.title} (products are ${shareOf(profile)} of a step)`, results);
    if (group.same) assertSameLoss(results);
    if (values.profile) printProfile(profile);
    all[key] = { sides: results, profile };
  }
  await opened.runtime.dispose();
  return { model: title, ...o, ...all };
}

/** That both sides compute the same. float32, in another order of sums: 1e-4 is far above it. @param {Result[]} results */
function assertSameLoss(results) {
  const losses = results.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  if (high - low > 1e-4 * high) throw new Error(`The losses differ: ${losses.join(", ")}.`);
  console.log(`the same loss: ${losses.map((loss) => loss.toFixed(5)).join(", ")}`);
}

/** The forward pass of a base, of the same with a low-rank adapter, and of the two merged. @param {string} base @param {Images} o @param {Sides} sides */
async function merged(base, o, { ours }) {
  const out = join(folder, "merged");
  const model = await openModel(base);
  const { pixel_values } = examples({ ...o, batch: 1 });
  const adapted = trainedModel(model, LOW_RANK, rngStream(seed, "adapter"));
  await mergeModel(adapted, out, { inputs: pixel_values ? { pixel_values } : {} });
  await model.runtime.dispose();
  const forward = (/** @type {string} */ name, /** @type {string} */ folder, configuration = "stored") =>
    ours(name, { task: "forward", model: folder, configuration, examples: o });
  const sides = [forward("base", base), forward("merged", out), forward("adapter beside the base", base, "adapted")];
  const results = await takeTurns(sides, { rounds: 2 * rounds, request: () => ({}) });
  printComparison(`forward pass, ${o.batch} images`, results);
  return results;
}

/** @param {string} model @param {Sides} sides */
async function language(model, sides) {
  const opened = await openModel(model);
  const vocabulary = opened.head?.out ?? 1;
  await opened.runtime.dispose();
  /** @type {Texts} */
  const texts = { kind: "texts", batch: 4, tokens: size.tokens, vocabulary, seed };
  const title = `SmolLM2-135M, attention layers, ${texts.batch} texts of ${texts.tokens} tokens, each of which is scored`;
  return compare(TEXT_GROUPS, model, texts, sides, { title });
}

/** Candidates a second in the search of the embedded default. @param {Sides} sides */
async function search({ ours }) {
  const [result] = await takeTurns([ours("a candidate", { task: "search" })], {
    rounds,
    request: () => ({}),
  });
  const rate = 1000 / (result?.milliseconds.median ?? Number.NaN);
  console.log(`\nsearch of the embedded default: ${rate.toFixed(1)} candidates a second, 400 images each`);
  return result;
}

/** What PyTorch reads. @param {string} path @param {Images | Texts} o */
async function writeExamples(path, o) {
  const { row_weights: _, ...tensors } = examples(o);
  const dtypes = { float32: "F32", int64: "I64", int32: "I32" };
  const stored = Object.entries(tensors).map(([name, { dtype, shape, data }]) => ({
    name,
    dtype: /** @type {"F32"} */ (dtypes[/** @type {keyof dtypes} */ (dtype)]),
    shape,
    data: new Uint8Array(/** @type {Float32Array} */ (data).buffer),
  }));
  await writeFile(path, encodeSafetensors(stored));
}
