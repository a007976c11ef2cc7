/** What the main thread and the worker say to each other: one reply to each request, in turn. */
import type { OwnTensor } from "../checked-run.js";

/** The package that runs a device's graphs. */
export type Library = "onnxruntime-node" | "onnxruntime-web";

/** A tensor under way: its buffer is transferred. */
export interface NamedTensor extends OwnTensor {
  readonly name: string;
}

/** An input that a session feeds itself. */
export interface Remembered {
  readonly input: string;
  /** What is put below its rows after the run. */
  readonly output: string;
  /** Shape of a row in this run. */
  readonly row: readonly number[];
}

/** InferenceSession.SessionOptions. */
export interface SessionOptions extends Readonly<Record<string, unknown>> {
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array<ArrayBuffer> }[];
}

export type Request =
  | {
      readonly kind: "load";
      readonly library: Library;
      /** Of onnxruntime-web, whose sessions share them; onnxruntime-node has them among a session's options. */
      readonly threads: number;
    }
  | {
      readonly kind: "create";
      readonly session: number;
      readonly model: Uint8Array<ArrayBuffer>;
      readonly options: SessionOptions;
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
  | { readonly kind: "loaded"; readonly version: string }
  | { readonly kind: "done" }
  | {
      readonly kind: "results";
      readonly tensors: readonly NamedTensor[];
      /** Rows that the session now remembers, in the order of the request's memory. */
      readonly rows: readonly number[];
    }
  | { readonly kind: "failed"; readonly message: string };
