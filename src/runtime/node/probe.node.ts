/** Tries a device in a process of its own: a driver that fails may end it, or print what it likes. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../base/errors.js";
import { encodeModel } from "../../ir/codec.js";
import type { Graph } from "../../ir/graph.js";
import { createBuilder } from "../../ops/index.js";
import { type DeviceReport, firstLine, requirements } from "../devices.js";
import { loweredFor } from "../lowered.js";
import type { Device } from "../runtime.js";
import { environmentFor, libraryOf } from "./library.node.js";
import type { Reply, Request } from "./protocol.js";
import { sessionOptions } from "./session-options.js";

/** A device that has not answered by then hangs; in milliseconds. */
const PATIENCE = 60_000;
/** About as long as a run may take that is measured, in milliseconds; the fastest counts, as other processes disturb. */
const DURATION = 200;
const REPEATS = 3;

/** Whether a device runs graphs here, and the rate of its matrix products: of 1024 rows, fewer where that takes too long. */
export async function probeDevice(device: Device, threads: number): Promise<DeviceReport> {
  const worker = fileURLToPath(new URL("./worker.node.js", import.meta.url));
  const child = fork(worker, {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    execArgv: [],
    env: { ...process.env, ...environmentFor(device) },
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  try {
    const library = await ask(child, { kind: "load", library: libraryOf(device), threads });
    if (library.kind !== "loaded") throw new Error(`"load" was answered by "${library.kind}"`);
    return { device, usable: true, library: library.version, ...(await measure(child, device, threads)) };
  } catch (thrown) {
    return {
      device,
      usable: false,
      problem: firstLine(messageOf(thrown)),
      advice: `It needs ${requirements[device]}.`,
    };
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

/** @throws {Error} with what ONNX Runtime says, or how the process ended */
function ask(child: ChildProcess, request: Request): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null): void =>
      reject(new Error(`its driver ended the process (${signal ?? `exit code ${code}`})`));
    child.once("exit", onExit);
    child.once("message", (reply: Reply) => {
      child.off("exit", onExit);
      if (reply.kind === "failed") reject(new Error(reply.message));
      else resolve(reply);
    });
    child.send(request, (error) => error && reject(error));
  });
}

/** @throws {Error} if products fail or are wrong */
async function measure(
  child: ChildProcess,
  device: Device,
  threads: number,
): Promise<{ gflops: number; size: number }> {
  let session = 0;
  const rateOf = async (size: number, products: number): Promise<number> => {
    const model = encodeModel(loweredFor(device, productsOf(size, products)));
    const options = sessionOptions(device, threads, {}, { externalData: [] });
    await ask(child, { kind: "create", session, model, options });
    const feeds = [{ name: "x", dtype: "float32", shape: [1, 1], data: Float32Array.of(1 / size) }] as const;
    const request: Request = { kind: "run", session: session++, feeds, outputs: ["sum"], memory: [] };
    await ask(child, request); // shaders are compiled, memory is taken
    let fastest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < REPEATS; i++) {
      const started = performance.now();
      const reply = await ask(child, request);
      fastest = Math.min(fastest, performance.now() - started);
      const sum = reply.kind === "results" ? Number(reply.tensors[0]?.data[0]) : Number.NaN;
      // 16 products of rounded numbers
      if (!(Math.abs(sum / size - 1) < 1e-3)) throw new Error(`it computes wrongly: ${sum} in the place of ${size}`);
      if (fastest > DURATION) break;
    }
    return (2e-6 * size ** 3 * products) / fastest;
  };
  const small = await rateOf(256, 1);
  const [size, duration] = [1024, 2e-6 * 1024 ** 3] as const;
  if (duration / small > 4 * DURATION) return { gflops: small, size: 256 };
  return { gflops: await rateOf(size, Math.max(1, Math.min(16, Math.floor((DURATION * small) / duration)))), size };
}

/** Products of matrices that are 1/size everywhere, as their product is again; and its sum, which is `size`. */
function productsOf(size: number, products: number): Graph {
  const g = createBuilder();
  const x = g.expand(g.input("x", "float32", [1, 1]), [size, size]);
  let y = x;
  for (let i = 0; i < products; i++) y = g.matmul(y, x);
  g.output("sum", g.reduceSum(y, [0, 1]));
  return g.graph;
}
