/** ONNX Runtime in a browser: in the page, or better in a worker, which computing then keeps busy in the page's place. */
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import { GloraError, messageOf, throwIfAborted } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import { encodeModel } from "../../ir/codec.js";
import type { Graph } from "../../ir/graph.js";
import { createBuilder } from "../../ops/index.js";
import { checkRun } from "../checked-run.js";
import { deviceFeeds } from "../feeds.js";
import { loweredFor } from "../lowered.js";
import type { OpenOptions, RunOptions, Runtime, Session } from "../runtime.js";
import { readWeightBytes } from "../weight-bytes.js";
import { chooseWebDevice, type WebDeviceName } from "./choose-device.js";
import { SessionMemory } from "./session-memory.js";

type Ort = typeof import("onnxruntime-web");

export interface WebRuntimeOptions {
  /** Default: auto, which takes a real GPU where there is one, and wasm elsewhere. */
  device?: WebDeviceName;
  /**
   * Threads that compute on wasm. Default: half of the processors, at most 4; always 1 where the page is not cross-origin
   * isolated. The first runtime of a page or worker decides.
   */
  threads?: number;
  /**
   * Address of the folder that ONNX Runtime's own files (`ort-wasm-simd-threaded.*`) are served from, absolute or relative to
   * the page or worker. Default: beside the script. The first runtime decides.
   */
  wasmPaths?: string | URL;
}

/**
 * Starts ONNX Runtime in this page or worker.
 *
 *     const runtime = await createWebRuntime({ device: "webgpu" });
 *     const model = await openModelFolder(await fetchFolder("vit-micro", files), runtime);
 *
 * @throws {GloraError} DEVICE if WebGPU cannot be had, or ONNX Runtime's files cannot be loaded
 */
export async function createWebRuntime(o: WebRuntimeOptions = {}): Promise<Runtime> {
  const threads = o.threads ?? Math.min(4, Math.ceil(navigator.hardwareConcurrency / 2));
  if (!Number.isInteger(threads) || threads < 1)
    throw new GloraError("USAGE", `The number of threads must be 1 or more, not ${threads}.`);
  const { device, reason } = await chooseWebDevice(o.device ?? "auto", navigator.gpu as GPU | undefined);
  // Two builds: that of wasm alone is half as large, and faster.
  const ort: Ort = await (device === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"));
  ort.env.logLevel = "fatal"; // errors are thrown
  ort.env.wasm.numThreads = crossOriginIsolated ? threads : 1;
  if (o.wasmPaths !== undefined) ort.env.wasm.wasmPaths = folderUrl(o.wasmPaths);
  const runtime = new WebRuntime(ort, device, reason);
  try {
    // Says at once whether ONNX Runtime starts. And it keeps compiled shaders only while it has a session: with this one, which
    // lives as long as the runtime, a fit on WebGPU takes half the time where shaders are slow to compile.
    await runtime.open(smallestGraph(), { name: "start" });
  } catch (thrown) {
    const files = device === "webgpu" ? "ort-wasm-simd-threaded.asyncify" : "ort-wasm-simd-threaded";
    throw new GloraError(
      "DEVICE",
      `ONNX Runtime cannot be started on ${device} (${messageOf(thrown)}). Its files ${files}.mjs and ${files}.wasm must be ` +
        "served beside the script, or from `wasmPaths` (docs/browser.md).",
      { device },
      thrown,
    );
  }
  return runtime;
}

function smallestGraph(): Graph {
  const g = createBuilder();
  const x = g.input("x", "float32", [1]);
  g.output("y", g.add(x, x));
  return g.graph;
}

const folderUrl = (path: string | URL): string => new URL(`${path}`.replace(/\/*$/, "/"), location.href).href;

class WebRuntime implements Runtime {
  /** Of the 4 GiB that wasm can address; how much a GPU has is not told. */
  readonly memory?: number;
  private readonly sessions = new Set<WebSession>();
  /** Settles when all runs so far have ended. */
  private last: Promise<unknown> = Promise.resolve();
  private disposed: Promise<void> | undefined;

  constructor(
    private readonly ort: Ort,
    readonly device: "wasm" | "webgpu",
    readonly reason: string,
  ) {
    if (device === "wasm") this.memory = 3 * 2 ** 30;
  }

  async open(graph: Graph, o: OpenOptions = {}): Promise<Session> {
    const { name = "graph", memory = {} } = o;
    const lowered = loweredFor(this.device, graph);
    const { location, externalData } = await readWeightBytes(lowered);
    const model = encodeModel(lowered, { name, externalDataPath: location });
    const session = await this.inTurn(async () => {
      try {
        return await this.ort.InferenceSession.create(model, { ...sessionOptions(this.device, o), externalData });
      } catch (thrown) {
        throw new GloraError("GRAPH", `${name}: no session could be made: ${messageOf(thrown)}`, {}, thrown);
      }
    });
    const opened = new WebSession(this.ort, session, graph, lowered, name, memory, {
      device: this.device,
      inTurn: (task, signal) => this.inTurn(task, signal),
      onDisposed: () => this.sessions.delete(opened),
    });
    this.sessions.add(opened);
    return opened;
  }

  dispose(): Promise<void> {
    this.disposed ??= Promise.all([...this.sessions].map((session) => session.dispose())).then(() => {});
    return this.disposed;
  }

  /** Runs a task when all before it have ended: ONNX Runtime takes one call at a time. */
  private inTurn<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.disposed) return Promise.reject(new GloraError("USAGE", "The runtime has been disposed."));
    const turn = this.last.then(async () => {
      await messagesReceived();
      throwIfAborted(signal);
      const result = await task();
      throwIfAborted(signal);
      return result;
    });
    this.last = turn.catch(() => {});
    return turn;
  }
}

/** What a session needs of its runtime. */
interface Turns {
  readonly device: "wasm" | "webgpu";
  inTurn<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  onDisposed(): void;
}

class WebSession implements Session {
  readonly device: "wasm" | "webgpu";
  /** By input. */
  private readonly remembered: ReadonlyMap<string, SessionMemory>;
  private disposed: Promise<void> | undefined;

  constructor(
    private readonly ort: Ort,
    private readonly session: InferenceSession,
    /** As it was given: what is fed and returned is checked against it. */
    readonly graph: Pick<Graph, "inputs" | "outputs">,
    /** As the device runs it. */
    private readonly lowered: Pick<Graph, "inputs">,
    readonly name: string,
    readonly memory: Readonly<Record<string, string>>,
    private readonly runtime: Turns,
  ) {
    this.device = runtime.device;
    this.remembered = new Map(Object.keys(memory).map((input) => [input, new SessionMemory(input)]));
  }

  async run(feeds: Readonly<Record<string, Tensor>>, o: RunOptions = {}): Promise<Record<string, Tensor>> {
    if (this.disposed) throw new GloraError("USAGE", `${this.name}: the session has been disposed.`);
    const { feeds: copies, outputs, symbols, memory } = checkRun(this, feeds, o);
    return this.runtime.inTurn(async () => {
      try {
        const known = { ...symbols };
        const fed: Record<string, Tensor> = {};
        for (const { input, rows, row } of memory) {
          fed[input] = this.remembered.get(input)!.recall(row, o.remember);
          known[rows] = fed[input].shape[0]!;
        }
        Object.assign(fed, deviceFeeds(this.lowered, copies, known));
        const tensors = Object.fromEntries(Object.entries(fed).map(([name, tensor]) => [name, this.tensor(tensor)]));
        const results = await this.session.run(tensors, [...outputs, ...memory.map(({ output }) => output)]);
        for (const { input, output } of memory) {
          const { data, dims } = results[output]!;
          this.remembered.get(input)!.append(data as Float32Array, dims[0]!);
        }
        return Object.fromEntries(
          outputs.map((name) => {
            const { type, dims, data } = results[name]!;
            return [name, { dtype: type, shape: dims, data } as Tensor];
          }),
        );
      } catch (thrown) {
        throw new GloraError("GRAPH", `${this.name}: the run failed: ${messageOf(thrown)}`, {}, thrown);
      }
    }, o.signal);
  }

  private tensor({ dtype, shape, data }: Tensor): OrtTensor {
    return new this.ort.Tensor(dtype, data, shape);
  }

  dispose(): Promise<void> {
    this.disposed ??= this.runtime.inTurn(() => this.session.release()).finally(() => this.runtime.onDisposed());
    return this.disposed;
  }
}

function sessionOptions(
  device: "wasm" | "webgpu",
  { keepArena = false, packWeights = false }: OpenOptions,
): InferenceSession.SessionOptions {
  return {
    executionProviders: [device],
    // The graph says what shall run, and in which order; see the runtime of Node.js, which measured these.
    graphOptimizationLevel: packWeights ? "basic" : "disabled",
    enableMemPattern: false,
    enableCpuMemArena: keepArena,
    logSeverityLevel: 4,
    extra: {
      session: {
        disable_prepacking: packWeights ? "0" : "1",
        // Without it nodes that the GPU has no kernel for run on the CPU in silence.
        ...(device === "webgpu" && { disable_cpu_ep_fallback: "1" }),
      },
    },
  };
}

/**
 * Lets messages through that have arrived: on wasm a run ends without the worker's events having had their turn, and a page
 * that says stop would not be heard before the end of training.
 */
function messagesReceived(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
