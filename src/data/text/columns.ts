/** Which columns hold the texts and the label. */
import type { TextOptions } from "./text-options.js";

export interface Columns {
  readonly text: string;
  readonly second?: string;
  /** None where every pair of texts is one that belongs together. */
  readonly label?: string;
}

/** Names under which data sets that are about publish them; the first that is there counts. */
const names = {
  text: [
    ..."sentence sentence1 text text1 premise question1 question query content review comment tweet".split(" "),
    ..."sms message utterance headline document abstract body title".split(" "),
  ],
  second: "sentence2 text2 hypothesis question2 text_pair passage description".split(" "),
  label: "label labels class category target score gold_label sentiment intent topic emotion is_duplicate".split(" "),
};

/** Whether a cell is the name of a column. */
export const isColumnName = (cell: string): boolean => {
  const name = cell.trim().toLowerCase();
  return Object.values(names).some((list) => list.includes(name)) || otherNames.has(name);
};

const otherNames = new Set(["instruction", "input", "output", "prompt", "completion", "id", "idx"]);

/**
 * The columns as they are named in the options, else by the names that they have; of two columns the other one.
 * @returns what is wrong, where it cannot be told
 */
export function columnsOf(fields: readonly string[], o: TextOptions): Columns | string {
  const asked = (option: string | number | undefined): string | undefined => {
    if (option === undefined) return undefined;
    return typeof option === "number" ? fields[option - 1] : fields.find((field) => field === option);
  };
  for (const [what, option] of Object.entries({ text: o.textColumn, second: o.secondColumn, label: o.labelColumn }))
    if (option !== undefined && asked(option) === undefined)
      return `there is no column ${JSON.stringify(option)} for the ${what}; the columns are ${fields.join(", ")}`;
  const named = (kind: keyof typeof names): string | undefined => {
    const lower = fields.map((field) => field.trim().toLowerCase());
    const name = names[kind].find((candidate) => lower.includes(candidate));
    return name === undefined ? undefined : fields[lower.indexOf(name)];
  };
  const theOther = (one: string | undefined): string | undefined =>
    fields.length === 2 && one !== undefined ? fields.find((field) => field !== one) : undefined;

  let label = asked(o.labelColumn) ?? named("label");
  const text = asked(o.textColumn) ?? named("text") ?? theOther(label);
  const second = asked(o.secondColumn) ?? named("second");
  label ??= second === undefined ? theOther(text) : undefined;
  if (text === undefined || (label === undefined && o.task !== "similarity"))
    return (
      `it cannot be told which column holds the ${text === undefined ? "text" : "label"}; the columns are ` +
      `${fields.join(", ")}. Name them as textColumn and labelColumn.`
    );
  return { text, ...(second !== undefined && { second }), ...(label !== undefined && { label }) };
}

/**
 * The columns of a table without names, by what they hold: the label is the column of the fewest different cells, of
 * several the one of the shortest; one or two others are the texts.
 */
export function guessColumns(rows: readonly Readonly<Record<string, unknown>>[], o: TextOptions): Columns | string {
  const fields = Object.keys(rows[0] ?? {});
  if (o.textColumn !== undefined && o.labelColumn !== undefined) return columnsOf(fields, o);
  const measured = fields.map((field) => {
    const cells = rows.map((row) => String(row[field] ?? ""));
    return { field, kinds: new Set(cells).size, length: cells.reduce((sum, cell) => sum + cell.length, 0) };
  });
  const [label] = [...measured].sort((a, b) => a.kinds - b.kinds || a.length - b.length);
  const [text, second, more] = fields.filter((field) => field !== label?.field);
  if (label === undefined || text === undefined || more !== undefined)
    return `it cannot be told which of the ${fields.length} columns hold the text and the label; number them as textColumn and labelColumn`;
  return columnsOf(fields, {
    textColumn: text,
    ...(second !== undefined && { secondColumn: second }),
    labelColumn: label.field,
    ...Object.fromEntries(Object.entries(o).filter(([, value]) => value !== undefined)),
  });
}
