// Where the time of a graph goes, from ONNX Runtime's own profile, and how far each node is from what the machine can do:
// a node that calculates is bound by the rate of products, one that moves numbers by the memory.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { createBuilder, encodeModel, lowerFor } from "../dist/index.js";
import { costOf } from "./costs.mjs";
import { productsGraph } from "./products.mjs";

/**
 * @import { Graph, Tensor } from "../dist/index.js"
 * @import { Attributes } from "../dist/ir/graph.js"
 * @typedef {Record<string, number[]>[]} Shapes  an object of one entry, type to shape, for each operand
 * @typedef {{ cat: string, name: string, ts: number, dur: number,
 *   args: { op_name?: string, input_type_shape?: Shapes, output_type_shape?: Shapes } }} Event
 * @typedef {{ name: string, op: string, shapes: string, milliseconds: number, flop: number, bytes: number }} NodeCost
 * @typedef {{ runs: number, threads: number }} How
 * @typedef {NodeCost & { limit: number }} BoundedCost  `limit`: milliseconds that the machine needs at least
 * @typedef {{ gigaflops: number, gigabytes: number }} Limits  per second, in products of matrices and in sums of vectors
 */

const PRODUCTS = ["Gemm", "MatMul", "FusedMatMul"];
/** Numbers in each of the vectors that are added to measure the memory: 64 MiB, more than a cache holds. */
const VECTOR = 2 ** 24;
const PROBES = 5;
const SLOWEST = 12;

/** The best rates that ONNX Runtime reaches on this machine now. @param {number} threads @returns {Promise<Limits>} */
export async function limits(threads) {
  const how = { runs: PROBES, threads };
  const { graph: products, feeds } = productsGraph();
  const gemms = (await nodesOf(products, () => feeds, how)).filter(({ op }) => op === "Gemm");
  const g = createBuilder();
  const total = g.add(g.input("x", "float32", [VECTOR]), g.input("y", "float32", [VECTOR]));
  g.output("first", g.slice(total, 0, 0, 1));
  /** @returns {Tensor} */
  const ones = () => ({ dtype: "float32", shape: [VECTOR], data: new Float32Array(VECTOR).fill(1) });
  const vectors = { x: ones(), y: ones() };
  const sums = (await nodesOf(g.graph, () => vectors, how)).filter(({ op }) => op === "Add");
  const best = (/** @type {NodeCost[]} */ nodes, /** @type {"flop" | "bytes"} */ what) =>
    Math.max(...nodes.map((node) => node[what] / node.milliseconds / 1e6));
  return { gigaflops: best(gemms, "flop"), gigabytes: best(sums, "bytes") };
}

/**
 * One run: its nodes by kind, largest first, the slowest of them, and the share of products. A node takes at least as long
 * as its FLOP at the machine's rate or its bytes at the memory's, whichever is longer.
 * @param {Graph} graph @param {() => Record<string, Tensor>} feeds @param {How} how @param {Limits} machine
 */
export async function profileGraph(graph, feeds, how, { gigaflops, gigabytes }) {
  const { runs } = how;
  const bounded = (await nodesOf(graph, feeds, how)).map((node) => ({
    ...node,
    limit: Math.max(node.flop / gigaflops, node.bytes / gigabytes) / 1e6,
  }));
  const all = totalOf(bounded, runs);
  const products = totalOf(
    bounded.filter(({ op }) => PRODUCTS.includes(op)),
    runs,
  );
  return {
    all,
    shareOfProducts: products.milliseconds / all.milliseconds,
    kinds: slowestFirst(grouped(bounded, ({ op }) => op).map(([op, nodes]) => ({ op, ...totalOf(nodes, runs) }))),
    slowest: slowestFirst(grouped(bounded, ({ name }) => name).map(([, same]) => median(same))).slice(0, SLOWEST),
  };
}

/** Nodes of several runs as those of one. @param {BoundedCost[]} nodes @param {number} runs */
function totalOf(nodes, runs) {
  const mean = (/** @type {"milliseconds" | "flop" | "bytes" | "limit"} */ what) =>
    nodes.reduce((total, node) => total + node[what], 0) / runs;
  return {
    nodes: nodes.length / runs,
    milliseconds: mean("milliseconds"),
    flop: mean("flop"),
    bytes: mean("bytes"),
    limit: mean("limit"),
  };
}

/** @param {BoundedCost[]} nodes @param {(node: BoundedCost) => string} key @returns {[string, BoundedCost[]][]} */
function grouped(nodes, key) {
  /** @type {Map<string, BoundedCost[]>} */ const groups = new Map();
  for (const node of nodes) {
    const group = groups.get(key(node));
    if (group) group.push(node);
    else groups.set(key(node), [node]);
  }
  return [...groups];
}

/** @template {{ milliseconds: number }} T @param {T[]} costs @returns {T[]} */
function slowestFirst(costs) {
  return costs.sort((a, b) => b.milliseconds - a.milliseconds);
}

/** @param {BoundedCost[]} same */
function median(same) {
  return /** @type {BoundedCost} */ (slowestFirst(same)[Math.floor(same.length / 2)]);
}

/** Every node of every run but the first, which allocates. @param {Graph} graph @param {() => Record<string, Tensor>} feeds @param {How} how @returns {Promise<NodeCost[]>} */
async function nodesOf(graph, feeds, { runs, threads }) {
  const folder = await mkdtemp(join(tmpdir(), "glora-profile-"));
  try {
    const lowered = lowerFor("cpu", graph);
    const externalDataPath = (/** @type {{ source: { path?: string } }} */ { source }) => source.path?.slice(1) ?? "";
    const session = await ort.InferenceSession.create(encodeModel(lowered, { name: "profiled", externalDataPath }), {
      // As src/runtime sets them.
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      graphOptimizationLevel: "disabled",
      enableMemPattern: false,
      logSeverityLevel: 4,
      extra: {
        session: {
          disable_prepacking: "1",
          model_external_initializers_file_folder_path: "/",
          intra_op: { allow_spinning: "1", spin_duration_us: "20" },
        },
      },
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
    const events = JSON.parse(await readFile(join(folder, /** @type {string} */ (file)), "utf8"));
    return costs(events, attributesOf(lowered));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @param {Event[]} events @param {Map<string, Attributes>} attributes @returns {NodeCost[]} */
function costs(events, attributes) {
  const [first] = events.filter(({ name }) => name === "model_run").sort((a, b) => a.ts - b.ts);
  const end = first ? first.ts + first.dur : 0;
  return events.flatMap(({ cat, name: event, ts, dur, args }) => {
    const { op_name: op = "", input_type_shape: inputs = [], output_type_shape: outputs = [] } = args;
    // An If's time is that of the nodes in its branch, which are listed too.
    if (cat !== "Node" || !event.endsWith("_kernel_time") || ts < end || op === "If") return [];
    const name = event.slice(0, -"_kernel_time".length);
    const [read, written] = [inputs, outputs].map((each) =>
      each.flatMap((operand) => Object.entries(operand).map(([type, shape]) => ({ type, shape }))),
    );
    const shapes = `${(read ?? []).map(({ shape }) => shape.join("×") || "1").join(", ")} → ${written?.[0]?.shape.join("×") ?? ""}`;
    return [
      {
        name,
        op,
        shapes,
        milliseconds: dur / 1000,
        ...costOf(op, attributes.get(name) ?? {}, read ?? [], written ?? []),
      },
    ];
  });
}

/** By the names of nodes, those of branches too. @param {Graph} graph @returns {Map<string, Attributes>} */
function attributesOf({ nodes }) {
  return new Map(
    nodes.flatMap(({ name, attributes }) => [
      [name, attributes],
      ...Object.values(attributes).flatMap((a) => (a.type === "graph" ? [...attributesOf(a.value)] : [])),
    ]),
  );
}
