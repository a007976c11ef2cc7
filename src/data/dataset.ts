import type { Rng } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import type { Augmentation } from "./augment.js";
import type { ImagePreprocessing } from "./image-spec.js";

/** What a model expects of its inputs: one member a modality. */
export type InputSpec = ImagePreprocessing;

export type SplitName = "train" | "validation" | "test";
export const splitNames: readonly SplitName[] = ["train", "validation", "test"];

/** Examples bound to a model: they come out as the model's named inputs. */
export interface Split {
  readonly size: number;
  /** The class of each example, an index into the dataset's labels; −1 where it is not known. */
  readonly labels: Int32Array;
  /** What a person calls each example: its file. */
  readonly names: readonly string[];
  /**
   * The model's inputs for these examples, the first axis running over them.
   *
   * @param options.rng  augmentation draws from it; without it the examples come as they are
   * @throws {GloraError} DATA if examples cannot be read (one error names them all); ABORTED
   */
  inputs(
    indices: readonly number[],
    options?: { readonly rng?: Rng; readonly signal?: AbortSignal },
  ): Promise<Record<string, Tensor>>;
}

export interface PrepareOptions {
  readonly signal?: AbortSignal;
  /** Called as examples are read and checked, with the number done and the number of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Labelled examples in three splits, a split may be empty. */
export interface Dataset {
  readonly name: string;
  /** The names of the classes, in the order of their numbers. */
  readonly labels: readonly string[];
  /** Binds the data to a model. Every example is read once, so that unreadable ones are known before training starts. */
  prepare(input: InputSpec, augment?: Augmentation, options?: PrepareOptions): Promise<Record<SplitName, Split>>;
  /** Which examples are in which split and how they came there, as JSON for the run folder. */
  describe(): unknown;
}
