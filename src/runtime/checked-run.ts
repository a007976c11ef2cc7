/** What a session does before a run, whatever it runs on. */
import type { Tensor } from "../base/tensor.js";
import { evaluateDim } from "../ir/dim.js";
import type { Graph } from "../ir/graph.js";
import { checkFeeds, checkOutputs, refuseEmpty } from "./feeds.js";
import type { Device, RunOptions } from "./runtime.js";

/** What of a session a run is compared with. */
export interface RunChecks {
  readonly name: string;
  readonly device: Device;
  /** As it was given, before it was lowered. */
  readonly graph: Pick<Graph, "inputs" | "outputs">;
  /** Inputs that the session feeds itself, each with the output that it grows by. */
  readonly memory: Readonly<Record<string, string>>;
}

/** A tensor whose array is the only view of its buffer, which can so be transferred to a thread. */
export interface OwnTensor extends Tensor {
  readonly data:
    | Float32Array<ArrayBuffer>
    | Int32Array<ArrayBuffer>
    | Uint8Array<ArrayBuffer>
    | BigInt64Array<ArrayBuffer>;
}

export interface CheckedRun {
  /** Copies. */
  readonly feeds: Readonly<Record<string, OwnTensor>>;
  /** Names of the outputs to return. */
  readonly outputs: readonly string[];
  /** The numbers of the symbols in the shapes of what is fed. */
  readonly symbols: Readonly<Record<string, number>>;
  readonly memory: readonly {
    readonly input: string;
    readonly output: string;
    /** The symbol of its rows, whose number is known only when the runs before have ended. */
    readonly rows: string;
    /** Shape of a row. */
    readonly row: readonly number[];
  }[];
}

/**
 * Checks a run and copies what it is fed.
 * @throws {GloraError} USAGE if the feeds do not fit the graph's inputs, or an output is asked for that there is not
 */
export function checkRun(
  { name: session, device, graph, memory }: RunChecks,
  feeds: Readonly<Record<string, Tensor>>,
  o: RunOptions,
): CheckedRun {
  const kept = Object.values(memory);
  const outputs = o.outputs ?? graph.outputs.map(({ name }) => name).filter((name) => !kept.includes(name));
  const fed = graph.inputs.filter(({ name }) => !Object.hasOwn(memory, name));
  const symbols = checkFeeds({ inputs: fed }, feeds, session);
  if (device === "webgpu") refuseEmpty(feeds, session);
  checkOutputs(graph, outputs, session);
  return {
    feeds: Object.fromEntries(
      Object.entries(feeds).map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: data.slice() }]),
    ),
    outputs,
    symbols,
    memory: Object.entries(memory).map(([input, output]) => {
      const [rows, ...row] = graph.inputs.find(({ name }) => name === input)!.type.shape;
      return { input, output, rows: String(rows), row: row.map((dim) => evaluateDim(dim, symbols)) };
    }),
  };
}
