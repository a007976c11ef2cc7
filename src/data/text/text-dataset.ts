import { GloraError, messageOf, throwIfAborted } from "../../base/errors.js";
import { type Dataset, type InputSpec, type PrepareOptions, type SplitName, splitNames } from "../dataset.js";
import { dataError } from "../problems.js";
import type { Shares } from "../stratify.js";
import type { Task } from "../task.js";
import type { Columns } from "./columns.js";
import { type LabelledRows, LabelledSplit } from "./labelled-split.js";
import type { LanguageContent } from "./language-record.js";
import { LanguageSplit, type NamedTokens, packedRows, singleRows } from "./language-split.js";
import { languageTokens } from "./language-tokens.js";
import { checkVocabulary } from "./open-tokenizer.js";
import type { TextInput } from "./text-input.js";
import type { TextOptions } from "./text-options.js";
import type { RowShape, TextSplit } from "./text-split.js";
import type { Tokenizer } from "./tokenizer.js";

export interface LanguageExample {
  readonly place: string;
  readonly content: LanguageContent;
}

export interface LabelledExample {
  readonly place: string;
  readonly first: string;
  readonly second: string | undefined;
  readonly label: number;
  readonly values: readonly number[];
}

/** What became of the records of a split. */
export interface TextReport {
  readonly records: number;
  /** Rows of the split: examples, or several in one where they are packed. */
  readonly rows: number;
  readonly tokens: number;
  readonly scoredTokens: number;
  /** Records that lost their end to the limit, and how many tokens that are. */
  readonly truncated: number;
  readonly cutTokens: number;
  /** Records of whose answer nothing was left. */
  readonly dropped: readonly string[];
  /** Longest example that was kept, and the limit. */
  readonly longest: number;
  readonly maxTokens: number;
}

/** Text data; its splits can be looked at. */
export interface TextDataset extends Dataset {
  prepare(input: InputSpec, augment?: unknown, o?: PrepareOptions): Promise<Record<SplitName, TextSplit>>;
  /** What the last `prepare` made of the records. */
  report(): Readonly<Record<SplitName, TextReport>> | undefined;
}

export const isTextDataset = (data: Dataset): data is TextDataset => "report" in data;

export type TextDatasetOptions = {
  readonly name: string;
  readonly path: string;
  readonly options: TextOptions;
  readonly share: Shares;
  readonly seed: number;
  readonly format: string;
  /** SHA-256 of each file that the records come from, by its name. */
  readonly content: Readonly<Record<string, string>>;
} & (
  | { readonly kind: "language"; readonly splits: Readonly<Record<SplitName, readonly LanguageExample[]>> }
  | {
      readonly kind: "labelled";
      readonly task: Task;
      readonly columns: Columns;
      readonly splits: Readonly<Record<SplitName, readonly LabelledExample[]>>;
    }
);

/** The most tokens of an example, where neither the caller nor the model says less. */
const defaultMaxTokens = 512;

export function textDataset(o: TextDatasetOptions): TextDataset {
  const task: Task = o.kind === "language" ? { kind: "language" } : o.task;
  let reports: Record<SplitName, TextReport> | undefined;
  return {
    name: o.name,
    task,
    report: () => reports,
    notes: () => Object.entries(reports ?? {}).flatMap(([split, report]) => noteOf(split, report)),
    describe: () => ({
      kind: "text",
      path: o.path,
      options: o.options,
      share: o.share,
      seed: o.seed,
      format: o.format,
      content: o.content,
      ...(o.kind === "labelled" && { columns: o.columns }),
      ...("labels" in task && { labels: task.labels }),
      splits: Object.fromEntries(splitNames.map((split) => [split, o.splits[split].map(({ place }) => place)])),
    }),
    async prepare(input, _augment, progress = {}) {
      if (input.kind !== "text")
        throw new GloraError(
          "DATA",
          `${o.name} holds text, and the model takes ${input.kind}s: give it data of that kind.`,
          {
            data: o.name,
            expected: input.kind,
          },
        );
      if (o.kind === "language" && input.attention !== "causal")
        throw new GloraError(
          "DATA",
          `${o.name} holds text to go on with, and the model does not go on with texts, it understands them as a whole: give ` +
            "it texts with labels, or take a causal language model.",
          { data: o.name },
        );
      const tokenizer = await input.tokenizer();
      checkVocabulary(tokenizer, input.vocabulary, o.name);
      const maxTokens = Math.min(o.options.maxTokens ?? defaultMaxTokens, input.maxTokens);
      const preparation = new Preparation(o, tokenizer, input, maxTokens, progress);
      const prepared = {
        train: await preparation.split("train"),
        validation: await preparation.split("validation"),
        test: await preparation.split("test"),
      };
      preparation.throwProblems();
      reports = { train: prepared.train.report, validation: prepared.validation.report, test: prepared.test.report };
      return { train: prepared.train.split, validation: prepared.validation.split, test: prepared.test.split };
    },
  };
}

/** What a limit has taken from a split, for people. */
function noteOf(split: string, { truncated, cutTokens, dropped, records, maxTokens }: TextReport): string[] {
  if (truncated === 0 && dropped.length === 0) return [];
  const cut = `${truncated} of ${records} records lose ${cutTokens} tokens beyond the limit of ${maxTokens}`;
  const gone = dropped.length > 0 ? `; ${dropped.length} of them keep nothing of their answer and are left out` : "";
  return [`${split}: ${cut}${gone}.`];
}

/** Records between two breaks in which other work may run: an interruption comes in there. */
const UNBROKEN = 500;

class Preparation {
  readonly #problems: string[] = [];
  readonly #total: number;
  readonly #shape: RowShape;
  #done = 0;

  constructor(
    private readonly o: TextDatasetOptions,
    private readonly tokenizer: Tokenizer,
    input: TextInput,
    private readonly maxTokens: number,
    private readonly progress: PrepareOptions,
  ) {
    this.#total = splitNames.reduce((sum, split) => sum + o.splits[split].length, 0);
    this.#shape = {
      padId: input.padId,
      maxTokens,
      positions: input.attention === "causal",
      tokenTypes: input.tokenTypes,
    };
  }

  async split(name: SplitName): Promise<{ readonly split: TextSplit; readonly report: TextReport }> {
    const report = {
      records: this.o.splits[name].length,
      truncated: 0,
      cutTokens: 0,
      dropped: [] as string[],
      maxTokens: this.maxTokens,
    };
    const count = (cut: number): void => {
      if (cut > 0) report.truncated++;
      report.cutTokens += cut;
    };
    const split =
      this.o.kind === "language"
        ? await this.#language(this.o.splits[name], count, report.dropped)
        : await this.#labelled(this.o.splits[name], this.o.task, count);
    if (name === "train" && split.size === 0 && this.#problems.length === 0)
      this.#problems.push(
        `of every training record the answer lies beyond the limit of ${this.maxTokens} tokens; raise maxTokens`,
      );
    let scoredTokens = 0;
    for (let i = 0; i < split.size; i++) scoredTokens += split.rows(i);
    return {
      split,
      report: {
        ...report,
        rows: split.size,
        tokens: split.lengths.reduce((sum, length) => sum + length, 0),
        scoredTokens: this.o.kind === "language" ? scoredTokens : 0,
        longest: split.lengths.reduce((most, length) => Math.max(most, length), 0),
      },
    };
  }

  /** @throws {GloraError} DATA naming every record that could not be prepared */
  throwProblems(): void {
    if (this.#problems.length === 0) return;
    throw dataError(`"${this.o.path}" cannot be prepared for this model:`, this.#problems);
  }

  async #language(
    examples: readonly LanguageExample[],
    count: (cut: number) => void,
    dropped: string[],
  ): Promise<TextSplit> {
    const kept: NamedTokens[] = [];
    const { lossOn = "answers", pack = false } = this.o.options;
    await this.#each(examples, ({ place, content }) => {
      const { examples: made, cut } = languageTokens(content, this.tokenizer, { lossOn, maxTokens: this.maxTokens });
      count(cut);
      if (made.length === 0) dropped.push(place);
      made.forEach((tokens, i) => {
        kept.push({ name: made.length > 1 ? `${place} (part ${i + 1})` : place, ...tokens });
      });
    });
    return new LanguageSplit(pack ? packedRows(kept, this.maxTokens) : singleRows(kept), this.#shape);
  }

  async #labelled(examples: readonly LabelledExample[], task: Task, count: (cut: number) => void): Promise<TextSplit> {
    const kept: LabelledRows[] = [];
    const { maxTokens } = this;
    await this.#each(examples, ({ place, first, second, label, values }) => {
      const apart = task.kind === "similarity";
      const encoded = apart
        ? [first, second!].map((text) => this.tokenizer.encodePair(text, undefined, { maxTokens }))
        : [this.tokenizer.encodePair(first, second, { maxTokens })];
      if (encoded.some(({ ids }) => ids.length === 0))
        throw new GloraError("DATA", "the tokenizer has no token for this text");
      count(encoded.reduce((sum, { cut }) => sum + cut, 0));
      kept.push({
        name: place,
        rows: encoded.map(({ ids, typeIds }) => ({ ids, typeIds, starts: [0] })),
        label,
        values,
      });
    });
    return new LabelledSplit(kept, task.kind === "classes" ? "labels" : "values", this.#shape);
  }

  async #each<T extends { readonly place: string }>(
    examples: readonly T[],
    prepare: (example: T) => void,
  ): Promise<void> {
    const { signal, onProgress } = this.progress;
    for (const example of examples) {
      try {
        prepare(example);
      } catch (thrown) {
        // What is wrong with the model's folder is said once, not for each record.
        if (!(thrown instanceof GloraError && thrown.code === "DATA")) throw thrown;
        this.#problems.push(`${example.place}: ${messageOf(thrown)}`);
      }
      if (++this.#done % UNBROKEN === 0) await new Promise((resolve) => setTimeout(resolve));
      throwIfAborted(signal);
      onProgress?.(this.#done, this.#total);
    }
  }
}
