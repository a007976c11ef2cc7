/** What a benchmark task is: its data, how a document becomes a question, and what is scored. */

/** A record of a data set, with the fields of its official schema. */
export type Doc = Readonly<Record<string, unknown>>;

/** A document as a question of several choices. */
export interface Question {
  /** What comes before an answer: one text, or one for each choice where the choice stands in the text itself. */
  readonly prompts: readonly string[];
  /** What is scored behind it: a text for each choice, or one that all choices share. */
  readonly answers: readonly string[];
  /** The right choice; outside of them where the document names none. */
  readonly gold: number;
  /** The right answer as lm-evaluation-harness records it: a choice's number, its letter, or the answer itself. */
  readonly target: string;
}

export type MetricName = "acc" | "acc_norm";

export interface BenchmarkTask {
  readonly name: string;
  /** Its name inside its group; its own unless said. */
  readonly alias?: string;
  /** A data set of the Hugging Face hub, and which of its configurations. */
  readonly dataset: { readonly path: string; readonly name?: string };
  /** Names of its splits: `test`, or else `validation`, is scored; shots come from `shots`, or else from `train`. */
  readonly splits: {
    readonly train?: string;
    readonly validation?: string;
    readonly test?: string;
    readonly shots?: string;
  };
  /** Version of the task in lm-evaluation-harness, of its prompt and of its metrics, where it states one. */
  readonly version?: number;
  readonly metrics: readonly MetricName[];
  /** Text in front of all. */
  readonly description?: string;
  /** Shots are the first documents of their split, not drawn. */
  readonly firstShots?: boolean;
  /** The number of shots belongs to the task and cannot be asked for. */
  readonly fixedShots?: number;
  /** Cleans a document up, before anything else is made of it. */
  readonly process?: (doc: Doc) => Doc;
  /** @throws {GloraError} DATA if a field is missing or of another kind */
  question(doc: Doc): Question;
  /** Metrics of a document, for tasks that have their own; `logLikelihoods` are those of the choices. */
  score?(doc: Doc, logLikelihoods: readonly number[]): Readonly<Record<string, number>>;
}

/** Tasks that are scored together, weighted by their numbers of documents. */
export interface TaskGroup {
  readonly name: string;
  readonly alias: string;
  /** Names of tasks and groups. */
  readonly members: readonly string[];
  readonly version: string;
}

/** The split that is scored. */
export const scoredSplit = ({ splits }: BenchmarkTask): string => (splits.test ?? splits.validation)!;
/** The split that shots come from. */
export const shotSplit = ({ splits }: BenchmarkTask): string =>
  (splits.shots ?? splits.train ?? splits.validation ?? splits.test)!;
