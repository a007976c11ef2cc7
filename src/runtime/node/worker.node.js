// @ts-check
/**
 * The thread in which ONNX Runtime's sessions live: its calls block, so the main thread stays free. A plain module, the
 * same file in tests and in the package. It serves one request at a time; see runtime-worker.node.ts for the other end.
 *
 * @import { InferenceSession } from "onnxruntime-node"
 * @import { Reply, Request } from "./protocol.js"
 */
import { parentPort, workerData } from "node:worker_threads";

/** busy: a call into ONNX Runtime is under way. closing: the process ends, begin none. Both 0 or 1. */
const state = new Int32Array(workerData);
const [BUSY, CLOSING] = [0, 1];

/** @type {Map<number, InferenceSession>} */
const sessions = new Map();
/** @type {typeof import("onnxruntime-node") | undefined} */
let ort;

/** @param {Request} request @returns {Promise<Reply>} */
async function serve(request) {
  if (request.kind === "load") {
    ort = await import("onnxruntime-node");
    ort.env.logLevel = "fatal"; // errors are thrown
    return { kind: "loaded", providers: ort.listSupportedBackends().map((backend) => backend.name) };
  }
  if (!ort) throw new Error("ONNX Runtime is not loaded.");
  if (request.kind === "create") {
    // The CPU and nothing else: no node may run on another device in silence.
    const options = { ...request.options, executionProviders: ["cpu"] };
    sessions.set(request.session, await ort.InferenceSession.create(request.model, options));
    return { kind: "done" };
  }
  const session = sessions.get(request.session);
  if (!session) throw new Error(`There is no session ${request.session}.`);
  if (request.kind === "release") {
    sessions.delete(request.session);
    await session.release();
    return { kind: "done" };
  }
  const { Tensor } = ort;
  const feeds = Object.fromEntries(
    request.feeds.map(({ name, dtype, data, shape }) => [name, new Tensor(dtype, data, shape)]),
  );
  const results = await session.run(feeds, request.outputs);
  return {
    kind: "results",
    tensors: Object.entries(results).map(([name, { type, data, dims }]) => ({
      name,
      dtype: /** @type {"float32"} */ (type),
      shape: dims,
      data: /** @type {Float32Array<ArrayBuffer>} */ (data),
    })),
  };
}

parentPort?.on("message", async (/** @type {Request} */ request) => {
  Atomics.store(state, BUSY, 1);
  /** @type {Reply} */
  let reply;
  try {
    // The order (busy first, then a look at closing) and the main thread's (closing first, then a look at busy) leave no
    // gap in which a call begins unseen.
    reply = Atomics.load(state, CLOSING) === 1 ? { kind: "done" } : await serve(request);
  } catch (thrown) {
    reply = { kind: "failed", message: thrown instanceof Error ? thrown.message : String(thrown) };
  } finally {
    Atomics.store(state, BUSY, 0);
    Atomics.notify(state, BUSY);
  }
  const transfer = reply.kind === "results" ? reply.tensors.map(({ data }) => data.buffer) : [];
  parentPort?.postMessage(reply, transfer);
});
