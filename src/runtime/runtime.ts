/** What a device offers: graphs become sessions, sessions turn tensors into tensors. */
import type { Tensor } from "../base/tensor.js";
import type { Graph } from "../ir/graph.js";

export type DeviceName = "cpu" | "webgpu" | "cuda" | "wasm" | "auto";

/** A device that was found: `auto` has become one of the others. */
export type Device = Exclude<DeviceName, "auto">;

export interface RunOptions {
  /** A run that waits in the queue is dropped; one that has begun is waited for, then its promise rejects. */
  signal?: AbortSignal;
  /** Names of the outputs to return; all of them unless said. What only the others need is still computed. */
  outputs?: readonly string[];
  /** Of the session's memory, the rows from its beginning that this run sees; the others are forgotten. All unless said. */
  remember?: number;
}

export interface Session {
  readonly device: Device;
  /**
   * Runs the graph. Runs of one runtime follow each other in the order of the calls. The arrays of `feeds` are copied
   * before the call returns, those of the result belong to the caller.
   *
   * @throws {GloraError} USAGE if the feeds do not fit the graph's inputs, ABORTED by `signal`, GRAPH if the run fails
   */
  run(feeds: Readonly<Record<string, Tensor>>, o?: RunOptions): Promise<Record<string, Tensor>>;
  /** Frees the session after the runs that wait for it; a second call changes nothing. */
  dispose(): Promise<void>;
}

export interface OpenOptions {
  /** For messages; "graph" unless said. */
  name?: string;
  /**
   * Keep the memory of a run for the next one: steps are up to a fifth faster (small ones most), but every such session
   * keeps its peak until it is disposed. For the session that trains; false unless said, or weights are stored in 16 bits.
   */
  keepArena?: boolean;
  /**
   * Widen and pack the weights once: runs of few rows are several times faster, at 4 bytes a number of memory. For
   * inference; false unless said. On webgpu they are wide already, and nothing changes.
   */
  packWeights?: boolean;
  /**
   * Inputs that the session feeds itself, each with the output that it grows by: behind a run the output's rows (along the
   * first axis, float32) stand below the input's. They stay in the runtime's thread. Empty at first.
   */
  memory?: Readonly<Record<string, string>>;
}

export interface Runtime {
  readonly device: Device;
  /** Why it is this device. */
  readonly reason: string;
  /** Bytes of memory that its work may take; undefined where that is not known. */
  readonly memory?: number;
  /**
   * Lowers a graph for the device and makes it a session.
   * @throws {GloraError} FILE if a file of weights is missing or too short, GRAPH if the graph is not well formed
   */
  open(graph: Graph, o?: OpenOptions): Promise<Session>;
  /** Frees all sessions after the runs that wait; a second call changes nothing. */
  dispose(): Promise<void>;
}
