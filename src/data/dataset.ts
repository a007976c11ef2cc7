import type { Rng } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import type { Augmentation } from "./augment.js";
import type { ImagePreprocessing } from "./image-spec.js";
import type { Task } from "./task.js";
import type { TextInput } from "./text/text-input.js";

/** What a model expects of its inputs: one member a modality. */
export type InputSpec = ImagePreprocessing | TextInput;

export type SplitName = "train" | "validation" | "test";
export const splitNames: readonly SplitName[] = ["train", "validation", "test"];

/** What a loss compares the model's outputs with, one entry a scored row. */
export type Targets =
  | { readonly kind: "labels"; readonly labels: Int32Array }
  /** [rows, outputs] */
  | { readonly kind: "values"; readonly values: Float32Array };

/** Examples bound to a model: they come out as the model's named inputs. */
export interface Split {
  readonly size: number;
  /** The class of each example, an index into the task's labels; −1 where it is not known. Empty where there are no classes. */
  readonly labels: Int32Array;
  /** What a person calls each example: its file, its line. */
  readonly names: readonly string[];
  /** How many rows of output the loss scores in an example: its answer tokens; 1 for all but language. */
  rows(index: number): number;
  /** What the loss compares the rows of these examples with, example by example. */
  targets(indices: readonly number[]): Targets;
  /** How long an example is, where examples differ: batches of like lengths waste less. Tokens. */
  readonly lengths?: Int32Array;
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

/** Examples in three splits, a split may be empty. */
export interface Dataset {
  readonly name: string;
  /** What the examples teach: the classes and their order, or the next token. */
  readonly task: Task;
  /** Binds the data to a model. Every example is read once, so that unreadable ones are known before training starts. */
  prepare(input: InputSpec, augment?: Augmentation, options?: PrepareOptions): Promise<Record<SplitName, Split>>;
  /** What people should know of what the last `prepare` did: what was cut off, what was left out. */
  notes?(): readonly string[];
  /** Which examples are in which split and how they came there, as JSON for the run folder. */
  describe(): unknown;
}

/** The classes of a dataset, in the order of their numbers; none where it has none. */
export const labelsOf = (task: Task): readonly string[] => ("labels" in task ? task.labels : []);
