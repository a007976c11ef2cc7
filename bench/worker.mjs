// One side of a comparison in a process of its own, so that peaks of memory do not mix. It does its work once for each line
// that it reads, and answers with a line of JSON; bench/peers/torch_side.py speaks the same.
//
//     node bench/worker.mjs '{"task": "step", "model": FOLDER, "configuration": "vector", "examples": {…}, "seed": 0}'
import { readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import {
  adaptedGraph,
  createNodeRuntime,
  createSpace,
  digits,
  drawGenome,
  embeddedModel,
  evaluate,
  openModel,
  rngStream,
  supernet,
  trainableFeeds,
} from "../dist/index.js";
import { examples, LOW_RANK, stepOf, trainedModel } from "./configurations.mjs";
import { productsGraph } from "./products.mjs";
import { limits, profileGraph } from "./profile.mjs";

/**
 * @import { Images, Structures, Texts } from "./configurations.mjs"
 * @typedef {{ model: string, configuration: string, examples: Images | Texts, seed: number, threads: number,
 *   runs: number }} StepOptions
 * @typedef {(request: { structures?: Structures }) => Promise<Record<string, unknown>>} Work  answers `milliseconds` at least
 */

/** @type {Record<string, (o: StepOptions) => Promise<Work>>} */
const TASKS = { step, forward, products, search, profile };

/** Forward, loss and backward: from stored supports to their gradients. @param {StepOptions} o @returns {Promise<Work>} */
async function step(o) {
  const model = await openModel(o.model, await runtimeOf(o));
  const built = stepOf(model, o.configuration, model.feeds(examples(o.examples)), o.seed);
  const session = await model.runtime.open(built.graph, { name: o.configuration, keepArena: true });
  return async ({ structures }) => {
    /** @type {number | undefined} */ let loss;
    const took = await timed(async () => {
      const outputs = await session.run(built.feeds(structures));
      built.pullBack(outputs, structures);
      loss = Number(outputs["loss"]?.data[0]);
    });
    return { ...took, loss };
  };
}

/** Logits of a model as it stands in its folder, or of that model with a low-rank adapter. @param {StepOptions} o @returns {Promise<Work>} */
async function forward(o) {
  const model = await openModel(o.model, await runtimeOf(o));
  const adapted =
    o.configuration === "adapted" ? trainedModel(model, LOW_RANK, rngStream(o.seed, "adapter")) : undefined;
  const graph = adaptedGraph(model, adapted ? { layout: adapted.layout, head: "trainable" } : { head: "frozen" });
  const session = await model.runtime.open(graph, { name: o.configuration, keepArena: true });
  const { labels: _, row_weights: __, ...inputs } = examples(o.examples);
  const feeds = { ...model.feeds(inputs), ...(adapted && trainableFeeds(adapted)) };
  return () => timed(() => session.run(feeds));
}

/** A product of the size of ViT-B's widest at batch 8, mean of four orientations. @param {StepOptions} o @returns {Promise<Work>} */
async function products(o) {
  const { runtime } = await runtimeOf(o);
  const { graph, feeds, count } = productsGraph();
  const session = await runtime.open(graph, { name: "products", keepArena: true });
  return async () => {
    const { milliseconds, processor } = await timed(() => session.run(feeds));
    return { milliseconds: milliseconds / count, processor: processor / count };
  };
}

/** One candidate in the search of the embedded default. @param {StepOptions} o @returns {Promise<Work>} */
async function search(o) {
  const data = digits();
  const model = (await openModel(embeddedModel, await runtimeOf(o))).withTask(data.task);
  const { validation } = await data.prepare(model.input);
  const space = createSpace(model.layers, { ranks: [1, 2, 4] });
  const rng = rngStream(o.seed, "candidates");
  const net = supernet(model, space, rng);
  const graph = adaptedGraph(model, { layout: net.layout, head: "trainable" });
  const session = await model.runtime.open(graph, { name: "search", keepArena: true });
  return () =>
    timed(() => evaluate(session, validation, model, { feeds: trainableFeeds(net, drawGenome(space, rng)) }));
}

/** Where the time of a step goes, beside what this machine can do. @param {StepOptions} o @returns {Promise<Work>} */
async function profile(o) {
  const model = await openModel(o.model, await runtimeOf(o));
  const built = stepOf(model, o.configuration, model.feeds(examples(o.examples)), o.seed);
  return async ({ structures }) => {
    const machine = await limits(o.threads);
    return {
      machine,
      ...(await profileGraph(
        built.graph,
        () => built.feeds(structures),
        { runs: o.runs, threads: o.threads },
        machine,
      )),
    };
  };
}

/** Milliseconds by the clock, and of all processors together. @param {() => Promise<unknown>} work */
async function timed(work) {
  const [start, used] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(used);
  return { milliseconds: performance.now() - start, processor: (user + system) / 1000 };
}

/** @param {StepOptions} o */
async function runtimeOf({ threads }) {
  return { runtime: await createNodeRuntime({ threads }) };
}

/** Resident megabytes of this process: now, and at most since it was asked to begin anew. Undefined where the system does not tell. */
async function memory() {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const megabytes = (/** @type {string} */ key) => {
    const kilobytes = new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1];
    return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1024);
  };
  return { resident: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}

const o = JSON.parse(process.argv[2] ?? "{}");
const { resident: before } = await memory();
const work = await TASKS[/** @type {keyof typeof TASKS} */ (o.task)]?.(o);
if (!work) throw new Error(`No task is called ${o.task}.`);
// What opening the model took is not the step's.
await writeFile("/proc/self/clear_refs", "5").catch(() => undefined);
console.log(JSON.stringify({ before }));
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await work(JSON.parse(line));
  console.log(JSON.stringify({ ...answer, peak: (await memory()).peak }));
}
process.exit();
