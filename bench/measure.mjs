// One measurement in a process of its own, so that peaks of memory do not mix: prints a line of JSON.
//
//     node bench/measure.mjs step '{"model": FOLDER, "configuration": "vector", "batch": 8, "size": 224, "steps": 10, "seed": 0}'
//     node bench/measure.mjs search '{"candidates": 20, "seed": 0}'
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import {
  adaptedGraph,
  createBuilder,
  createSpace,
  digits,
  drawGenome,
  embeddedModel,
  encodeModel,
  evaluate,
  lowerFor,
  openModel,
  rngStream,
  supernet,
  trainableFeeds,
} from "../dist/index.js";
import { stepOf } from "./configurations.mjs";

/**
 * @import { Graph, Runtime, Tensor } from "../dist/index.js"
 * @typedef {{ model: string, configuration: string, batch: number, size: number, steps: number, seed: number }} StepOptions
 * @typedef {{ median: number, best: number, worst: number }} Spread
 */

/** The product that a step is compared with, ViT-B's widest at batch 8: rows, in, out. */
const PRODUCT = { rows: 1576, in: 768, out: 3072 };
const PRODUCT_OPS = ["Gemm", "MatMul", "FusedMatMul"];
/** Steps that are run and not counted: the first allocate. */
const WARM_UP = 2;

/** Time and memory of a training step, products of the same size timed between the steps. @param {StepOptions} o */
async function measureStep(o) {
  const model = await openModel(o.model);
  const { runtime } = model;
  const step = stepOf(model, o.configuration, o);
  const before = process.memoryUsage().rss;
  const session = await runtime.open(step.graph, { name: o.configuration, keepArena: true });
  for (let i = 0; i < WARM_UP; i++) await session.run(step.feeds());
  const memory = process.resourceUsage().maxRSS * 1024 - before; // bytes

  const product = await productTimer(runtime);
  /** @type {number[]} */ const steps = [];
  /** @type {number[]} */ const products = [];
  for (let i = 0; i < o.steps; i++) {
    products.push(await product());
    const feeds = step.feeds();
    const start = performance.now();
    await session.run(feeds);
    steps.push(performance.now() - start);
  }
  await runtime.dispose();
  const shares = await shareOfProducts(step.graph, step.feeds, Math.min(5, o.steps));
  const gigaflop = (2 * PRODUCT.rows * PRODUCT.in * PRODUCT.out) / 1e9;
  return {
    configuration: o.configuration,
    warmUp: WARM_UP,
    steps: o.steps,
    milliseconds: spreadOf(steps),
    megabytes: Math.round(memory / 2 ** 20),
    /** A step against a product of the same moment. */
    products: spreadOf(steps.map((ms, i) => ms / products[i])),
    productGflops: spreadOf(products.map((ms) => (1000 * gigaflop) / ms)),
    shareOfProducts: shares,
  };
}

/** Mean milliseconds of x·Wᵀ, x·W, y·Wᵀ and y·W for the two orientations of one weight. @param {Runtime} runtime */
async function productTimer(runtime) {
  const g = createBuilder();
  const { rows, in: narrow, out: wide } = PRODUCT;
  const rng = rngStream(0, "products");
  /** @type {Record<string, Tensor>} */ const feeds = {};
  /** @param {string} name @param {number[]} shape */
  const input = (name, shape) => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal());
    feeds[name] = { dtype: "float32", shape, data };
    return g.input(name, "float32", shape);
  };
  const [x, y] = [input("x", [rows, narrow]), input("y", [rows, wide])];
  const [w, v] = [input("w", [wide, narrow]), input("v", [narrow, wide])];
  const all = [
    g.gemm(x, w, undefined, { transB: true }),
    g.gemm(x, v),
    g.gemm(y, v, undefined, { transB: true }),
    g.gemm(y, w),
  ];
  for (const [i, product] of all.entries()) g.output(`${i}`, g.slice(g.slice(product, 0, 0, 1), 1, 0, 1));
  const session = await runtime.open(g.graph, { name: "products", keepArena: true });
  await session.run(feeds);
  return async () => {
    const start = performance.now();
    await session.run(feeds);
    return (performance.now() - start) / all.length;
  };
}

/**
 * The share of matrix products in the time of all nodes, as ONNX Runtime's profiler tells it; the first run is left out.
 * @param {Graph} graph @param {() => Record<string, Tensor>} feeds @param {number} runs
 */
async function shareOfProducts(graph, feeds, runs) {
  const folder = await mkdtemp(join(tmpdir(), "glora-bench-"));
  try {
    const lowered = lowerFor("cpu", graph);
    const externalDataPath = (/** @type {{ source: { path?: string } }} */ { source }) => source.path?.slice(1) ?? "";
    const session = await ort.InferenceSession.create(encodeModel(lowered, { name: "profiled", externalDataPath }), {
      // As src/runtime sets them.
      executionProviders: ["cpu"],
      graphOptimizationLevel: "disabled",
      enableMemPattern: false,
      logSeverityLevel: 4,
      extra: { session: { disable_prepacking: "1", model_external_initializers_file_folder_path: "/" } },
      enableProfiling: true,
      profileFilePrefix: join(folder, "profile"),
    });
    for (let i = 0; i <= runs; i++) {
      const tensors = Object.entries(feeds()).map(([name, { dtype, data, shape }]) => [
        name,
        new ort.Tensor(/** @type {"float32"} */ (dtype), /** @type {Float32Array} */ (data), shape),
      ]);
      await session.run(Object.fromEntries(tensors));
    }
    session.endProfiling();
    await session.release();
    const [file] = await readdir(folder);
    return shareIn(JSON.parse(await readFile(join(folder, /** @type {string} */ (file)), "utf8")));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @param {{ cat: string, name: string, ts: number, dur: number, args: Record<string, string> }[]} events */
function shareIn(events) {
  const [first] = events.filter(({ name }) => name === "model_run").sort((a, b) => a.ts - b.ts);
  const end = first ? first.ts + first.dur : 0;
  let [products, all] = [0, 0];
  for (const { cat, name, ts, dur, args } of events) {
    // An If's time is that of the nodes in its branch, which are listed too.
    if (cat !== "Node" || !name.endsWith("_kernel_time") || ts < end || args["op_name"] === "If") continue;
    all += dur;
    if (PRODUCT_OPS.includes(args["op_name"] ?? "")) products += dur;
  }
  return products / all;
}

/** Candidates a second in the search of the embedded default. @param {{ candidates: number, seed: number }} o */
async function measureSearch({ candidates, seed }) {
  const data = digits();
  const model = (await openModel(embeddedModel)).withTask(data.task);
  const { validation } = await data.prepare(model.input);
  const space = createSpace(model.layers, { ranks: [1, 2, 4] });
  const rng = rngStream(seed, "candidates");
  const net = supernet(model, space, rng);
  const session = await model.runtime.open(adaptedGraph(model, { layout: net.layout, head: "trainable" }), {
    name: "search",
    keepArena: true,
  });
  /** @type {number[]} */ const times = [];
  for (let i = 0; i < WARM_UP + candidates; i++) {
    const start = performance.now();
    await evaluate(session, validation, model, { feeds: trainableFeeds(net, drawGenome(space, rng)) });
    if (i >= WARM_UP) times.push(performance.now() - start);
  }
  await model.runtime.dispose();
  return { images: validation.size, candidates, warmUp: WARM_UP, milliseconds: spreadOf(times) };
}

/** @param {number[]} values @returns {Spread & { quartiles: [number, number] }} */
function spreadOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ q) => Number(sorted[Math.floor(q * (sorted.length - 1))]?.toPrecision(4));
  return { median: at(0.5), best: at(0), worst: at(1), quartiles: [at(0.25), at(0.75)] };
}

const [what, options = "{}"] = process.argv.slice(2);
const measured = what === "search" ? await measureSearch(JSON.parse(options)) : await measureStep(JSON.parse(options));
console.log(JSON.stringify(measured));
