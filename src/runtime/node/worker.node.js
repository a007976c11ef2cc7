// @ts-check
/**
 * The thread in which ONNX Runtime's sessions live: its calls block, so the main thread stays free. A plain module, the
 * same file in tests and in the package. It serves one request at a time; see runtime-worker.node.ts for the other end.
 * A device is tried out in a process instead (probe.node.ts), which a driver may end without harm.
 *
 * @import { InferenceSession } from "onnxruntime-node"
 * @import { NamedTensor, Reply, Request } from "./protocol.js"
 */
import { parentPort, workerData } from "node:worker_threads";

/** busy: a call into ONNX Runtime is under way. closing: the process ends, begin none. Both 0 or 1. */
const state = new Int32Array(workerData ?? new SharedArrayBuffer(8));
const [BUSY, CLOSING] = [0, 1];

/** @type {Map<number, InferenceSession>} */
const sessions = new Map();
/**
 * What sessions remember under the names of their inputs: the rows, and room for more behind them.
 *
 * @typedef {{ rows: number, width: number, values: Float32Array<ArrayBuffer> }} Memory
 * @type {Map<number, Map<string, Memory>>}
 */
const memories = new Map();
/** @type {typeof import("onnxruntime-node") | typeof import("onnxruntime-web") | undefined} */
let ort;

/** @param {Request} request @returns {Promise<Reply>} */
async function serve(request) {
  if (request.kind === "load") {
    const { library, threads } = request;
    ort = await (library === "onnxruntime-web" ? import("onnxruntime-web") : import("onnxruntime-node"));
    ort.env.logLevel = "fatal"; // errors are thrown
    ort.env.wasm.numThreads = threads;
    return {
      kind: "loaded",
      version: `${library} ${ort.env.versions[library === "onnxruntime-web" ? "web" : "node"]}`,
    };
  }
  if (!ort) throw new Error("ONNX Runtime is not loaded.");
  if (request.kind === "create") {
    sessions.set(request.session, await ort.InferenceSession.create(request.model, request.options));
    return { kind: "done" };
  }
  const session = sessions.get(request.session);
  if (!session) throw new Error(`There is no session ${request.session}.`);
  if (request.kind === "release") {
    sessions.delete(request.session);
    memories.delete(request.session);
    await session.release();
    return { kind: "done" };
  }
  const { Tensor } = ort;
  const feeds = Object.fromEntries(
    request.feeds.map(({ name, dtype, data, shape }) => [name, new Tensor(dtype, data, shape)]),
  );
  const own = request.memory.map(({ input, output, row }) => {
    const memory = recall(request.session, input, request.remember);
    const width = row.reduce((a, b) => a * b, 1);
    const length = memory.rows * width;
    if (memory.rows > 0 && memory.width !== width)
      throw new Error(`"${input}" does not remember ${memory.rows} rows of [${row.join(", ")}].`);
    memory.width = width;
    feeds[input] = new Tensor("float32", memory.values.subarray(0, length), [memory.rows, ...row]);
    return { memory, length, output };
  });
  const results = await session.run(feeds, [...request.outputs, ...own.map(({ output }) => output)]);
  for (const { memory, length, output } of own) grow(memory, length, named(output, results[output]));
  return {
    kind: "results",
    tensors: request.outputs.map((name) => named(name, results[name])),
    rows: own.map(({ memory }) => memory.rows),
  };
}

/** @param {string} name @param {import("onnxruntime-node").Tensor | undefined} tensor @returns {NamedTensor} */
function named(name, tensor) {
  if (!tensor) throw new Error(`There is no output "${name}".`);
  const { type, data, dims } = tensor;
  return {
    name,
    dtype: /** @type {"float32"} */ (type),
    shape: dims,
    data: /** @type {Float32Array<ArrayBuffer>} */ (data),
  };
}

/** @param {number} session @param {string} input @param {number | undefined} remember @returns {Memory} */
function recall(session, input, remember) {
  const known = memories.get(session) ?? new Map();
  memories.set(session, known);
  const memory = known.get(input) ?? { rows: 0, width: 0, values: new Float32Array(0) };
  known.set(input, memory);
  if (remember !== undefined && remember > memory.rows)
    throw new Error(`${remember} rows of "${input}" are to be remembered, and there are ${memory.rows}.`);
  memory.rows = remember ?? memory.rows;
  return memory;
}

/** Rows go behind the first `length` numbers; the room doubles when it is full. @param {Memory} memory @param {number} length @param {NamedTensor} rows */
function grow(memory, length, { data, shape }) {
  const end = length + data.length;
  if (end > memory.values.length) {
    const larger = new Float32Array(Math.max(end, 2 * length));
    larger.set(memory.values.subarray(0, length));
    memory.values = larger;
  }
  memory.values.set(/** @type {Float32Array} */ (data), length);
  memory.rows += /** @type {number} */ (shape[0]);
}

/** @param {Request} request @returns {Promise<Reply>} */
async function answer(request) {
  Atomics.store(state, BUSY, 1);
  try {
    // The order (busy first, then a look at closing) and the main thread's (closing first, then a look at busy) leave no
    // gap in which a call begins unseen.
    return Atomics.load(state, CLOSING) === 1 ? { kind: "done" } : await serve(request);
  } catch (thrown) {
    return { kind: "failed", message: thrown instanceof Error ? thrown.message : String(thrown) };
  } finally {
    Atomics.store(state, BUSY, 0);
    Atomics.notify(state, BUSY);
  }
}

parentPort?.on("message", async (/** @type {Request} */ request) => {
  const reply = await answer(request);
  const transfer = reply.kind === "results" ? reply.tensors.map(({ data }) => data.buffer) : [];
  parentPort?.postMessage(reply, transfer);
});
if (!parentPort) process.on("message", async (/** @type {Request} */ request) => process.send?.(await answer(request)));
