/** What the main thread and the worker say to each other: one reply to each request, in turn. */
import type { Tensor } from "../../base/tensor.js";

/** A tensor under way: its array is the only view of its buffer, which is transferred. */
export interface NamedTensor extends Tensor {
  readonly name: string;
  readonly data:
    | Float32Array<ArrayBuffer>
    | Int32Array<ArrayBuffer>
    | Uint8Array<ArrayBuffer>
    | BigInt64Array<ArrayBuffer>;
}

/** An input that a session feeds itself. */
export interface Remembered {
  readonly input: string;
  /** What is put below its rows after the run. */
  readonly output: string;
  /** Shape of a row in this run. */
  readonly row: readonly number[];
}

export type Request =
  | { readonly kind: "load" }
  | {
      readonly kind: "create";
      readonly session: number;
      readonly model: Uint8Array<ArrayBuffer>;
      /** InferenceSession.SessionOptions, less the execution provider. */
      readonly options: Readonly<Record<string, unknown>>;
    }
  | {
      readonly kind: "run";
      readonly session: number;
      readonly feeds: readonly NamedTensor[];
      readonly outputs: readonly string[];
      readonly memory: readonly Remembered[];
      /** Rows of the memory that the run sees; all of them unless said. */
      readonly remember?: number;
    }
  | { readonly kind: "release"; readonly session: number };

export type Reply =
  | { readonly kind: "loaded"; readonly providers: readonly string[] }
  | { readonly kind: "done" }
  | { readonly kind: "results"; readonly tensors: readonly NamedTensor[] }
  | { readonly kind: "failed"; readonly message: string };
