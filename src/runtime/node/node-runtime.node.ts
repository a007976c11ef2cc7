/** ONNX Runtime in Node.js, in a thread of its own. */
import { totalmem } from "node:os";
import { GloraError, messageOf } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import { encodeModel } from "../../ir/codec.js";
import type { Graph } from "../../ir/graph.js";
import { createBuilder } from "../../ops/index.js";
import { checkRun } from "../checked-run.js";
import { checkDeviceName, chooseDevice, unusable } from "../devices.js";
import { deviceFeeds } from "../feeds.js";
import { loweredFor } from "../lowered.js";
import type { Device, DeviceName, OpenOptions, RunOptions, Runtime, Session } from "../runtime.js";
import { environmentFor, libraryOf } from "./library.node.js";
import { probeDevice } from "./probe.node.js";
import type { NamedTensor, Request } from "./protocol.js";
import { RuntimeWorker } from "./runtime-worker.node.js";
import { sessionOptions } from "./session-options.js";
import { physicalCores } from "./threads.node.js";
import { placeWeights } from "./weight-files.node.js";

export interface NodeRuntimeOptions {
  /** "cpu" unless said. */
  device?: DeviceName;
  /** Threads that compute; as many as there are physical cores unless said. */
  threads?: number;
}

/**
 * Starts ONNX Runtime in a worker thread. The runtime does not keep the process alive, and the process can be left at any
 * time: a step under way is waited for.
 *
 * @throws {GloraError} DEVICE if the device cannot be had or ONNX Runtime cannot be loaded
 */
export async function createNodeRuntime(o: NodeRuntimeOptions = {}): Promise<Runtime> {
  const { device: asked = "cpu", threads = physicalCores() } = o;
  if (!Number.isInteger(threads) || threads < 1)
    throw new GloraError("USAGE", `The number of threads must be 1 or more, not ${threads}.`);
  checkDeviceName(asked);
  const { device, reason } =
    asked === "auto"
      ? await chooseDevice((each) => probeDevice(each, threads))
      : { device: asked, reason: `${asked} was asked for` };
  Object.assign(process.env, environmentFor(device));
  const worker = await RuntimeWorker.start(libraryOf(device), threads);
  const runtime = new NodeRuntime(worker, device, reason, threads);
  if (device === "cpu") return runtime;
  try {
    const g = createBuilder();
    const x = g.input("x", "float32", [1]);
    g.output("y", g.add(x, x));
    const session = await runtime.open(g.graph);
    await session.run({ x: { dtype: "float32", shape: [1], data: Float32Array.of(1) } });
    await session.dispose();
    return runtime;
  } catch (thrown) {
    await worker.close();
    throw unusable(device, messageOf(thrown).replace(/^graph: no session could be made: /, ""));
  }
}

/** Bytes that WebAssembly can address. */
const WASM_MEMORY = 2 ** 32;

class NodeRuntime implements Runtime {
  /** Three quarters of what there is: the rest is for everything else. How much a GPU has is not told. */
  readonly memory?: number;
  private sessions = 0;

  constructor(
    private readonly worker: RuntimeWorker,
    readonly device: Device,
    readonly reason: string,
    private readonly threads: number,
  ) {
    const machine = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
    if (device === "cpu") this.memory = 0.75 * machine;
    if (device === "wasm") this.memory = 0.75 * Math.min(machine, WASM_MEMORY);
  }

  async open(graph: Graph, o: OpenOptions = {}): Promise<Session> {
    const { name = "graph", memory = {} } = o;
    const lowered = loweredFor(this.device, graph);
    if (this.device === "wasm") checkWasmMemory(lowered, this.memory!, name);
    const weights = await placeWeights(lowered, this.device);
    const model = encodeModel(lowered, { name, externalDataPath: weights.location, embedded: weights.embedded });
    const session = this.sessions++;
    // Without an arena the copies of 16-bit weights that are widened at every use leave holes that malloc does not fill again:
    // a step of a 1.1-billion model then takes 2.5 GB beside its file, with one 0.75.
    const keepArena = o.keepArena || widensWeights(lowered);
    const options = sessionOptions(this.device, this.threads, { ...o, keepArena }, weights);
    const request = { kind: "create", session, model, options } as const;
    const reply = await this.worker.request(request);
    if (reply.kind === "failed") throw new GloraError("GRAPH", `${name}: no session could be made: ${reply.message}`);
    return new NodeSession(this.worker, session, graph, lowered, name, this.device, memory);
  }

  dispose(): Promise<void> {
    return this.worker.close();
  }
}

class NodeSession implements Session {
  private disposed: Promise<void> | undefined;
  /** Rows that the session remembers, by input. */
  private readonly rows = new Map<string, number>();

  constructor(
    private readonly worker: RuntimeWorker,
    private readonly id: number,
    /** As it was given: what is fed and returned is checked against it. */
    readonly graph: Pick<Graph, "inputs" | "outputs">,
    /** As the device runs it. */
    private readonly lowered: Pick<Graph, "inputs">,
    readonly name: string,
    readonly device: Device,
    readonly memory: Readonly<Record<string, string>>,
  ) {}

  async run(feeds: Readonly<Record<string, Tensor>>, o: RunOptions = {}): Promise<Record<string, Tensor>> {
    if (this.disposed) throw new GloraError("USAGE", `${this.name}: the session has been disposed.`);
    // Copies are transferred to the worker: a clone would take the whole buffer behind a view, twice.
    const { feeds: copies, outputs, symbols, memory } = checkRun(this, feeds, o);
    // Made when its turn comes: shapes may depend on what the runs before it have left in memory.
    const request = (): Request => {
      const known = { ...symbols };
      for (const { input, rows } of memory) {
        const before = this.rows.get(input) ?? 0;
        known[rows] = Math.min(before, o.remember ?? before);
        this.rows.set(input, known[rows]);
      }
      const tensors = Object.entries(deviceFeeds(this.lowered, copies, known)).map(
        ([name, tensor]): NamedTensor => ({ ...tensor, name }),
      );
      const remember = o.remember === undefined ? {} : { remember: o.remember };
      return { kind: "run", session: this.id, feeds: tensors, outputs, memory, ...remember };
    };
    const reply = await this.worker.request(request, o.signal);
    if (reply.kind === "failed") throw new GloraError("GRAPH", `${this.name}: the run failed: ${reply.message}`);
    if (reply.kind !== "results") throw new Error(`${this.name}: a run was answered by "${reply.kind}".`);
    memory.forEach(({ input }, i) => {
      this.rows.set(input, reply.rows[i]!);
    });
    return Object.fromEntries(reply.tensors.map(({ name, dtype, shape, data }) => [name, { dtype, shape, data }]));
  }

  dispose(): Promise<void> {
    this.disposed ??= this.worker.request({ kind: "release", session: this.id }).then(
      () => {},
      () => {}, // the worker has ended, and the session with it
    );
    return this.disposed;
  }
}

const widensWeights = ({ initializers }: Graph): boolean =>
  initializers.some(({ data }) => data?.kind === "external" && (data.dtype === "float16" || data.dtype === "bfloat16"));

/** @throws {GloraError} DEVICE before a byte is read */
function checkWasmMemory({ initializers }: Graph, limit: number, session: string): void {
  const bytes = initializers.reduce((sum, { data }) => sum + (data?.kind === "external" ? data.length : 0), 0);
  if (bytes <= limit) return;
  const gibibytes = (n: number): string => (n / 2 ** 30).toFixed(1);
  throw new GloraError(
    "DEVICE",
    `${session}: its weights take ${gibibytes(bytes)} GiB. On the device wasm they must fit in ${gibibytes(limit)} GiB, three ` +
      "quarters of what WebAssembly can address or this machine has. Use the device cpu, or a smaller model.",
    { session, bytes, limit },
  );
}
