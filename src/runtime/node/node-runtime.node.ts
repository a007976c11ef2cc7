/** ONNX Runtime in Node.js, in a thread of its own. */
import { totalmem } from "node:os";
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import { encodeModel } from "../../ir/codec.js";
import { evaluateDim } from "../../ir/dim.js";
import type { Graph } from "../../ir/graph.js";
import { chooseDevice } from "../devices.js";
import { checkFeeds, checkOutputs } from "../feeds.js";
import { loweredForCpu } from "../lowered.js";
import type { Device, DeviceName, OpenOptions, RunOptions, Runtime, Session } from "../runtime.js";
import type { NamedTensor } from "./protocol.js";
import { RuntimeWorker } from "./runtime-worker.node.js";
import { physicalCores } from "./threads.node.js";
import { findWeightFiles } from "./weight-files.node.js";

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
  const threads = o.threads ?? physicalCores();
  if (!Number.isInteger(threads) || threads < 1)
    throw new GloraError("USAGE", `The number of threads must be 1 or more, not ${threads}.`);
  const worker = await RuntimeWorker.start();
  try {
    return new NodeRuntime(worker, chooseDevice(o.device ?? "cpu", worker.providers), threads);
  } catch (thrown) {
    await worker.close();
    throw thrown;
  }
}

class NodeRuntime implements Runtime {
  readonly device: Device;
  readonly reason: string;
  /** Three quarters of the machine's, or of what the process is held to: the rest is for everything else. */
  readonly memory = 0.75 * Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  private sessions = 0;

  constructor(
    private readonly worker: RuntimeWorker,
    { device, reason }: { device: Device; reason: string },
    private readonly threads: number,
  ) {
    this.device = device;
    this.reason = reason;
  }

  async open(graph: Graph, o: OpenOptions = {}): Promise<Session> {
    const { name = "graph", memory = {} } = o;
    const lowered = loweredForCpu(graph);
    const files = await findWeightFiles(lowered);
    const model = encodeModel(lowered, { name, externalDataPath: files.location, embedded: files.embedded });
    const session = this.sessions++;
    // Without an arena the copies of 16-bit weights that are widened at every use leave holes that malloc does not fill again:
    // a step of a 1.1-billion model then takes 2.5 GB beside its file, with one 0.75.
    const keepArena = o.keepArena || widensWeights(lowered);
    const options = sessionOptions(this.threads, { ...o, keepArena }, files.folder);
    const request = { kind: "create", session, model, options } as const;
    const reply = await this.worker.request(request, { transfer: [model.buffer] });
    if (reply.kind === "failed") throw new GloraError("GRAPH", `${name}: no session could be made: ${reply.message}`);
    return new NodeSession(this.worker, session, lowered, name, this.device, memory);
  }

  dispose(): Promise<void> {
    return this.worker.close();
  }
}

class NodeSession implements Session {
  private disposed: Promise<void> | undefined;

  constructor(
    private readonly worker: RuntimeWorker,
    private readonly id: number,
    private readonly graph: Graph,
    private readonly name: string,
    readonly device: Device,
    private readonly memory: Readonly<Record<string, string>>,
  ) {}

  async run(feeds: Readonly<Record<string, Tensor>>, o: RunOptions = {}): Promise<Record<string, Tensor>> {
    if (this.disposed) throw new GloraError("USAGE", `${this.name}: the session has been disposed.`);
    const kept = Object.values(this.memory);
    const outputs = o.outputs ?? this.graph.outputs.map(({ name }) => name).filter((name) => !kept.includes(name));
    const inputs = this.graph.inputs.filter(({ name }) => !Object.hasOwn(this.memory, name));
    const symbols = checkFeeds({ inputs }, feeds, this.name);
    checkOutputs(this.graph, outputs, this.name);
    const memory = Object.entries(this.memory).map(([input, output]) => {
      const [, ...row] = this.graph.inputs.find(({ name }) => name === input)!.type.shape;
      return { input, output, row: row.map((dim) => evaluateDim(dim, symbols)) };
    });
    // One copy here and a transfer, instead of the two copies that a clone makes of the whole buffer behind a view.
    const tensors = Object.entries(feeds).map(
      ([name, { dtype, shape, data }]): NamedTensor => ({ name, dtype, shape, data: data.slice() }),
    );
    const remember = o.remember === undefined ? {} : { remember: o.remember };
    const request = { kind: "run", session: this.id, feeds: tensors, outputs, memory, ...remember } as const;
    const transfer = tensors.map(({ data }) => data.buffer);
    const reply = await this.worker.request(request, { transfer, signal: o.signal });
    if (reply.kind === "failed") throw new GloraError("GRAPH", `${this.name}: the run failed: ${reply.message}`);
    if (reply.kind !== "results") throw new Error(`${this.name}: a run was answered by "${reply.kind}".`);
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

/** InferenceSession.SessionOptions, less the execution provider, which the worker sets. */
function sessionOptions(
  threads: number,
  { keepArena = false, packWeights = false }: OpenOptions,
  folder: string,
): Record<string, unknown> {
  return {
    intraOpNumThreads: threads,
    // The graph says what shall run, and in which order; a fused or merged node would undo it. But that a weight is widened
    // once, and no more at every use, is what the basic level is for.
    graphOptimizationLevel: packWeights ? "basic" : "disabled",
    // Costs over half of the peak memory and brings no speed.
    enableMemPattern: false,
    enableCpuMemArena: keepArena,
    logSeverityLevel: 4, // an error is thrown with the same text
    extra: {
      session: {
        // Packed copies of frozen weights, one an orientation, would cost three times their memory in training.
        disable_prepacking: packWeights ? "0" : "1",
        model_external_initializers_file_folder_path: folder,
        // Threads spin just long enough for the next node (a small model's step is 17–25 % faster); spinning on, they would
        // take the cores from the next session and from other processes.
        intra_op: { allow_spinning: "1", spin_duration_us: "20" },
      },
    },
  };
}
