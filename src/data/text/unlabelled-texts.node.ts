import { basename, extname } from "node:path";
import { openFile } from "../../formats/file.node.js";
import { chunksOf, linesOf } from "../../formats/lines.js";
import type { InputSpec } from "../dataset.js";
import { dataError } from "../problems.js";
import { type Columns, columnsOf } from "./columns.js";
import { LabelledSplit } from "./labelled-split.js";
import { checkVocabulary } from "./open-tokenizer.js";
import { readTextFile, type TextFile } from "./text-files.node.js";
import type { TextOptions } from "./text-options.js";
import { textField } from "./text-record.js";
import type { TextSplit } from "./text-split.js";

/** Texts without labels, for prediction. */
export interface UnlabelledTexts {
  /** Where each stands: "reviews.tsv:12". */
  readonly names: readonly string[];
  readonly texts: readonly string[];
  /**
   * Binds the texts to a model; labels are −1.
   * @returns the split, and how many texts lost their end to the limit
   * @throws {GloraError} DATA if the model takes no text, or has no token for one
   */
  prepare(input: InputSpec): Promise<{ readonly split: TextSplit; readonly truncated: number }>;
}

type UnlabelledOptions = Pick<TextOptions, "textColumn" | "secondColumn" | "header" | "maxTokens">;

/** As {@link textData} cuts texts that are long. */
const MAX_TOKENS = 512;

/**
 * The texts of a file: the lines of a .txt, else the column that is named, or named as texts are, or the only one. Other
 * columns, a label among them, are not looked at.
 *
 * @throws {GloraError} DATA with everything that is wrong, each with its line; FILE if the file cannot be read
 */
export async function unlabelledTexts(path: string, o: UnlabelledOptions = {}): Promise<UnlabelledTexts> {
  const { records, problems: unread, unnamed } = await recordsOf(path, o);
  const problems = [...unread];
  const refused = (): Error => dataError(`"${path}" cannot be used as texts:`, problems);
  const [first] = records;
  if (!first) problems.push("there is no text in it");
  const columns = first ? textColumns(Object.keys(first.fields), unnamed, o) : { text: "" };
  if (typeof columns === "string") {
    problems.push(columns);
    throw refused();
  }
  const examples = records.map((record) => {
    const refuse = (what: string): void => {
      problems.push(`${record.place}: ${what}`);
    };
    const second = columns.second === undefined ? undefined : textField(record, columns.second, refuse);
    return { place: record.place, text: textField(record, columns.text, refuse) ?? "", second };
  });
  if (problems.length > 0) throw refused();
  return bound(examples, path, o);
}

/** Texts that are there already. */
export const givenTexts = (texts: readonly string[]): UnlabelledTexts =>
  bound(
    texts.map((text, i) => ({ place: `text ${i + 1}`, text, second: undefined })),
    "the given texts",
    {},
  );

interface Example {
  readonly place: string;
  readonly text: string;
  readonly second: string | undefined;
}

const bound = (examples: readonly Example[], name: string, o: UnlabelledOptions): UnlabelledTexts => ({
  names: examples.map(({ place }) => place),
  texts: examples.map(({ text }) => text),
  async prepare(input) {
    if (input.kind !== "text")
      throw dataError(`"${name}" holds text, and the model takes ${input.kind}s: give it data of that kind.`, []);
    const tokenizer = await input.tokenizer();
    checkVocabulary(tokenizer, input.vocabulary, name);
    const maxTokens = Math.min(o.maxTokens ?? MAX_TOKENS, input.maxTokens);
    const problems: string[] = [];
    let truncated = 0;
    const rows = examples.map(({ place, text, second }) => {
      const { cut, ids, typeIds } = tokenizer.encodePair(text, second, { maxTokens });
      if (cut > 0) truncated++;
      if (ids.length === 0) problems.push(`${place}: the tokenizer has no token for this text`);
      return { name: place, rows: [{ ids, typeIds, starts: [0] }], label: -1, values: [] };
    });
    if (problems.length > 0) throw dataError(`"${name}" cannot be used as texts:`, problems);
    const { padId, tokenTypes, attention } = input;
    const shape = { padId, maxTokens, positions: attention === "causal", tokenTypes };
    return { split: new LabelledSplit(rows, "labels", shape), truncated };
  },
});

async function recordsOf(path: string, o: UnlabelledOptions): Promise<TextFile> {
  if (extname(path).toLowerCase() !== ".txt") return readTextFile(path, o);
  const source = await openFile(path, path);
  const records = [];
  for await (const { number, text } of linesOf(chunksOf(source), path))
    if (text.trim() !== "") records.push({ place: `${basename(path)}:${number}`, fields: { text } });
  return { records, problems: [], unnamed: false };
}

function textColumns(fields: readonly string[], unnamed: boolean, o: UnlabelledOptions): Columns | string {
  const [only, other] = fields;
  if (o.textColumn === undefined && only !== undefined && other === undefined) return { text: only };
  if (unnamed && o.textColumn === undefined)
    return (
      `its ${fields.length} columns have no name that is known: say which holds the texts (textColumn), by its number, or by ` +
      "its name in the first row"
    );
  // Of texts alone no label is asked for, as where pairs of texts are compared.
  const found = columnsOf(fields, { ...o, task: "similarity" });
  if (typeof found === "string" && o.textColumn === undefined)
    return `it cannot be told which column holds the texts; the columns are ${fields.join(", ")}. Name it as textColumn.`;
  return found;
}
