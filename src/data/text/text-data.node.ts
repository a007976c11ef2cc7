import { basename, resolve } from "node:path";
import { GloraError, messageOf } from "../../base/errors.js";
import { openFile } from "../../formats/file.node.js";
import { sha256Hex } from "../../formats/sha256.node.js";
import { type SplitName, splitNames } from "../dataset.js";
import { dataError } from "../problems.js";
import { type Shares, splitClass } from "../stratify.js";
import { type Columns, columnsOf, guessColumns } from "./columns.js";
import { labelsFrom } from "./labels.js";
import { type LanguageFormat, languageFormatOf, languageFormats } from "./language-record.js";
import { type LabelledExample, type LanguageExample, type TextDataset, textDataset } from "./text-dataset.js";
import { readTextFile, type SplitFiles, type TextFile, textFilesOf } from "./text-files.node.js";
import { type TextFormat, type TextOptions, textFormats } from "./text-options.js";
import { show, type TextRecord, textField } from "./text-record.js";

/**
 * Text data from a file (.json, .jsonl, .csv, .tsv, .parquet, .txt) or a folder with such files for train, validation and
 * test; what is missing of these is cut from train (seeded, each class by itself). The records are instructions (Alpaca,
 * prompt and completion, ShareGPT, OpenAI's messages), plain text, or texts with labels, found out by their fields unless
 * the options say so.
 *
 * @throws {GloraError} DATA, one error for all that is wrong, each with its file and line; FILE if a file cannot be read
 */
export async function textData(path: string, options: TextOptions = {}): Promise<TextDataset> {
  const shares = sharesOf(options);
  const twice = options.labels?.find((label, i, all) => all.indexOf(label) < i);
  if (twice !== undefined) throw new GloraError("USAGE", `The label ${show(twice)} stands twice among the labels.`);
  const problems: string[] = [];
  const files = await textFilesOf(path);
  const read = await readSplits(files, options, problems);
  const first = read.train.records[0];
  if (!first)
    throw dataError(
      `"${path}" cannot be used as text data:`,
      problems.length > 0 ? problems : ["there is no record to train on"],
    );
  const format = formatOf(first, options);
  const missing = { validation: read.validation === undefined, test: read.test === undefined };
  const share: Shares = {
    validation: missing.validation ? shares.validation : 0,
    test: missing.test ? shares.test : 0,
  };
  const seed = options.seed ?? 0;
  const base = { name: basename(resolve(path)), path, options, share, seed, format };
  const finish = <T extends { readonly place: string }>(
    examples: Record<SplitName, readonly T[]>,
    group: (example: T) => string,
  ) => {
    const splits = divide(examples, group, share, seed, problems);
    if (problems.length > 0) throw dataError(`"${path}" cannot be used as text data:`, problems);
    return splits;
  };

  if (format !== "classification") {
    const examples = mapSplits(read, (file) => languageExamples(file, format, problems));
    const parted = format === "text" ? partText(examples, share) : examples;
    const splits = finish(parted, () => "");
    return textDataset({ ...base, content: await contentOf(files), kind: "language", splits });
  }
  const columns = columnsFor(read.train, options);
  if (typeof columns === "string") throw dataError(`"${path}" cannot be used as text data:`, [...problems, columns]);
  const { task, ...labelled } = labelledExamples(read, columns, options, problems);
  const named = "labels" in task ? task.labels : [];
  if (task.kind !== "regression" && task.kind !== "similarity" && named.length < (task.kind === "classes" ? 2 : 1))
    problems.push(`at least two classes are needed; found ${named.length === 0 ? "none" : `only "${named[0]}"`}`);
  const splits = finish(labelled.examples, ({ label }) => named[label] ?? "");
  return textDataset({ ...base, content: await contentOf(files), kind: "labelled", task, columns, splits });
}

type Files = { readonly train: TextFile } & Readonly<Partial<Record<SplitName, TextFile>>>;

async function readSplits(files: SplitFiles, o: TextOptions, problems: string[]): Promise<Files> {
  const read: Partial<Record<SplitName, TextFile>> = {};
  for (const split of splitNames) {
    if (files[split].length === 0) continue;
    const parts: TextFile[] = [];
    for (const file of files[split]) {
      try {
        parts.push(await readTextFile(file, o));
      } catch (thrown) {
        if (!(thrown instanceof GloraError)) throw thrown;
        problems.push(messageOf(thrown));
      }
    }
    problems.push(...parts.flatMap((part) => part.problems));
    read[split] = {
      records: parts.flatMap(({ records }) => records),
      problems: [],
      unnamed: parts.some(({ unnamed }) => unnamed),
    };
  }
  return read as Files;
}

/** What tells the files from others of their names. */
async function contentOf(files: SplitFiles): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const split of splitNames)
    for (const file of files[split]) content[basename(file)] = await sha256Hex(await openFile(file));
  return content;
}

const mapSplits = <T>(files: Files, map: (file: TextFile) => readonly T[]): Record<SplitName, readonly T[]> => ({
  train: map(files.train),
  validation: files.validation ? map(files.validation) : [],
  test: files.test ? map(files.test) : [],
});

const defaultShare = 0.15;

function sharesOf({ split: { validation = defaultShare, test = defaultShare } = {} }: TextOptions): Shares {
  if (!(validation >= 0 && test >= 0 && validation + test < 1))
    throw new GloraError(
      "USAGE",
      `The shares for validation (${validation}) and test (${test}) must not be negative and must leave something to ` +
        "train on: together below 1.",
      { validation, test },
    );
  return { validation, test };
}

function formatOf({ fields }: TextRecord, o: TextOptions): TextFormat {
  if (o.format !== undefined) {
    if (textFormats.includes(o.format)) return o.format;
    throw new GloraError("USAGE", `The format ${show(o.format)} is not known; known are ${textFormats.join(", ")}.`);
  }
  const columns = [o.textColumn, o.secondColumn, o.labelColumn];
  if ([...columns, o.task, o.labels].some((said) => said !== undefined)) return "classification";
  const language = languageFormatOf(Object.keys(fields));
  // A text with a label beside it is to be classified.
  return language === undefined || (language === "text" && typeof columnsOf(Object.keys(fields), o) === "object")
    ? "classification"
    : language;
}

function languageExamples({ records }: TextFile, format: LanguageFormat, problems: string[]): LanguageExample[] {
  return records.flatMap((record) => {
    const content = languageFormats[format].read(record, (what) => problems.push(`${record.place}: ${what}`));
    return content ? [{ place: record.place, content }] : [];
  });
}

/** A text that is one record is cut at lines: the end of it for the test, what comes before that for the validation. */
function partText(
  examples: Record<SplitName, readonly LanguageExample[]>,
  share: Shares,
): Record<SplitName, readonly LanguageExample[]> {
  const [only, more] = examples.train;
  if (only?.content.kind !== "text" || more || share.validation + share.test === 0) return examples;
  const lines = only.content.text.split(/(?<=\n)/);
  const test = Math.round(lines.length * (1 - share.test));
  const validation = Math.round(lines.length * (1 - share.test - share.validation));
  const file = only.place.replace(/:1$/, "");
  const part = (from: number, to: number): LanguageExample[] => {
    const text = lines.slice(from, to).join("");
    return text.trim() === "" ? [] : [{ place: `${file}:${from + 1}`, content: { kind: "text", text } }];
  };
  return {
    train: part(0, validation),
    validation: share.validation > 0 ? part(validation, test) : examples.validation,
    test: share.test > 0 ? part(test, lines.length) : examples.test,
  };
}

const columnsFor = ({ records, unnamed }: TextFile, o: TextOptions): Columns | string =>
  unnamed
    ? guessColumns(
        records.map(({ fields }) => fields),
        o,
      )
    : columnsOf(Object.keys(records[0]!.fields), o);

function labelledExamples(read: Files, columns: Columns, o: TextOptions, problems: string[]) {
  const { text, second, label } = columns;
  const values = label === undefined ? [] : read.train.records.map(({ fields }) => fields[label]);
  const labels = labelsFrom(values, label ?? "score", o);
  if (labels.task.kind === "similarity" && second === undefined)
    problems.push("two texts are needed to learn how alike they are; name the second as secondColumn");
  const examples = mapSplits(read, ({ records }) =>
    records.flatMap((record): LabelledExample[] => {
      const { place, fields } = record;
      const refuse = (what: string): void => {
        problems.push(`${place}: ${what}`);
      };
      const texts = [text, ...(second === undefined ? [] : [second])].map((column) => {
        const content = textField(record, column, refuse);
        if (content?.trim() === "") refuse(`the text ("${column}") is empty`);
        return content;
      });
      if (label !== undefined && (fields[label] ?? "") === "" && labels.task.kind !== "multi-label") {
        refuse(label in fields ? `the label ("${label}") is empty` : `has no field "${label}"`);
        return [];
      }
      const said = labels.read(label === undefined ? 1 : fields[label]);
      if (typeof said === "string") refuse(said);
      else if (texts.every((content) => content !== undefined && content.trim() !== ""))
        return [{ place, first: texts[0]!, second: texts[1], ...said }];
      return [];
    }),
  );
  return { task: labels.task, examples };
}

/** The examples of each split; those that have no file are cut from train, each group by itself. */
function divide<T extends { readonly place: string }>(
  examples: Record<SplitName, readonly T[]>,
  group: (example: T) => string,
  share: Shares,
  seed: number,
  problems: string[],
): Record<SplitName, readonly T[]> {
  if (share.validation === 0 && share.test === 0) return examples;
  const order = new Map(examples.train.map((example, i) => [example, i]));
  const parts: Record<SplitName, T[]> = { train: [], validation: [], test: [] };
  // What was divided already (a text that is one record) stays as it is.
  const cut = {
    validation: examples.validation.length > 0 ? 0 : share.validation,
    test: examples.test.length > 0 ? 0 : share.test,
  };
  const sound = problems.length === 0; // else what is missing may be among the records that are wrong
  const groups = new Map<string, T[]>();
  for (const example of examples.train) {
    const name = group(example);
    const members = groups.get(name);
    if (members) members.push(example);
    else groups.set(name, [example]);
  }
  for (const [name, members] of groups) {
    const part = splitClass(name, members, cut, seed);
    if (!part && sound) {
      const one = members.length === 1;
      const records = `${members.length} record${one ? "" : "s"}`;
      const kind = name !== "" ? `class "${name}" has` : one ? "there is" : "there are";
      const places = members.slice(0, 3).map(({ place }) => place);
      problems.push(`${kind} ${records} (${places.join(", ")}), too few to have one in each split; add records`);
    }
    if (part) for (const split of splitNames) parts[split].push(...part[split]);
  }
  const sorted = (split: SplitName): T[] => parts[split].sort((a, b) => order.get(a)! - order.get(b)!);
  return {
    train: sorted("train"),
    validation: cut.validation > 0 ? sorted("validation") : examples.validation,
    test: cut.test > 0 ? sorted("test") : examples.test,
  };
}
