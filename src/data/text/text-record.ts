/** An object of a data file, and the place where it stands: "train.jsonl:12". */
export interface TextRecord {
  readonly place: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Notes what is wrong with a record. */
export type Refuse = (what: string) => void;

/** A value of a record for a message, cut if it is long. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}

/** A field that must be a text. Undefined, with a problem, where it is not. */
export function textField(record: TextRecord, key: string, refuse: Refuse): string | undefined {
  const value = record.fields[key];
  if (typeof value === "string") return value;
  refuse(
    value === undefined
      ? `has no field "${key}" (it has ${Object.keys(record.fields).join(", ") || "none"})`
      : `"${key}" is ${show(value)}; a text is expected`,
  );
  return undefined;
}
