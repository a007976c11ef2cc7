/** The main thread's end of the worker: requests one after another, and a clean end whenever the process ends. */
import { Worker } from "node:worker_threads";
import { GloraError, throwIfAborted } from "../../base/errors.js";
import { loadError } from "../devices.js";
import type { Library, Reply, Request } from "./protocol.js";

/** Cells of the state that both threads see; see worker.node.js. */
const [BUSY, CLOSING] = [0, 1];

/** How long the end of the process waits for a call into ONNX Runtime, in milliseconds. */
const LONGEST_CALL = 120_000;

export class RuntimeWorker {
  private readonly state = new Int32Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;
  /** Settles when all requests so far have been answered. */
  private last: Promise<unknown> = Promise.resolve();
  private waiting: { resolve: (reply: Reply) => void; reject: (reason: unknown) => void } | undefined;
  private stopped: GloraError | undefined;
  private closed: Promise<void> | undefined;

  /** @throws {GloraError} DEVICE if ONNX Runtime cannot be loaded */
  static async start(library: Library, threads: number): Promise<RuntimeWorker> {
    const worker = new RuntimeWorker();
    const reply = await worker.request({ kind: "load", library, threads });
    if (reply.kind !== "failed") return worker;
    await worker.close();
    throw loadError(library, reply.message);
  }

  private constructor() {
    // A plain module: Node loads it as it is, from the sources in tests as from the package.
    this.worker = new Worker(new URL("./worker.node.js", import.meta.url), { workerData: this.state.buffer });
    this.worker.unref(); // an idle worker does not keep the process alive
    this.worker.on("message", (reply: Reply) => this.waiting?.resolve(reply));
    this.worker.on("error", (error) => this.stop(`failed: ${error.message}`));
    this.worker.on("exit", (code) => this.stop(`ended with exit code ${code}`));
    process.on("exit", this.onExit);
  }

  /**
   * Sends a request when all before it have been answered; a function makes it then.
   * @throws {GloraError} ABORTED if the signal fires before the answer; a request that has been sent is waited for
   */
  request(request: Request | (() => Request), signal?: AbortSignal): Promise<Reply> {
    const turn = this.last.then(async () => {
      throwIfAborted(signal);
      const reply = await this.exchange(typeof request === "function" ? request() : request);
      throwIfAborted(signal);
      return reply;
    });
    this.last = turn.catch(() => {});
    return turn;
  }

  /** Waits for the requests so far, then ends the worker. */
  close(): Promise<void> {
    this.closed ??= this.last.then(async () => {
      this.stopped ??= new GloraError("USAGE", "The runtime has been disposed.");
      process.off("exit", this.onExit);
      await this.worker.terminate();
    });
    return this.closed;
  }

  private exchange(request: Request): Promise<Reply> {
    if (this.stopped) throw this.stopped;
    this.worker.ref();
    return new Promise<Reply>((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.worker.postMessage(request, buffersOf(request));
    }).finally(() => {
      this.waiting = undefined;
      this.worker.unref();
    });
  }

  private stop(how: string): void {
    this.stopped ??= new GloraError("DEVICE", `The thread that runs ONNX Runtime ${how}.`);
    this.waiting?.reject(this.stopped);
  }

  /**
   * A process that ends while ONNX Runtime computes dies by SIGABRT (exit code 134). So the end waits for the call that is
   * under way, and no other begins.
   */
  private readonly onExit = (): void => {
    Atomics.store(this.state, CLOSING!, 1);
    Atomics.wait(this.state, BUSY!, 1, LONGEST_CALL);
  };
}

/** What is handed over to the worker instead of copied. */
function buffersOf(request: Request): ArrayBuffer[] {
  if (request.kind === "run") return request.feeds.map(({ data }) => data.buffer);
  if (request.kind !== "create") return [];
  return [request.model.buffer, ...(request.options.externalData ?? []).map(({ data }) => data.buffer)];
}
