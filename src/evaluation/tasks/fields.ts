/** Fields of documents, read with the checks that the texts of a data set need. */
import { GloraError } from "../../base/errors.js";
import type { Doc } from "./task.js";

const refuse = (path: string, expected: string, found: unknown): never => {
  const shown = found === undefined ? "nothing" : (JSON.stringify(found) ?? String(found));
  throw new GloraError(
    "DATA",
    `"${path}": ${expected} is expected, found ${shown.length > 60 ? `${shown.slice(0, 57)}...` : shown}.`,
    { field: path, found },
  );
};

/** A field, or a field of a field: "choices.text". */
function raw(doc: Doc, path: string): unknown {
  let value: unknown = doc;
  for (const key of path.split("."))
    value = typeof value === "object" && value !== null ? (value as Doc)[key] : undefined;
  return value;
}

export function textOf(doc: Doc, path: string): string {
  const value = raw(doc, path);
  return typeof value === "string" ? value : refuse(path, "a text", value);
}

export function textsOf(doc: Doc, path: string, count?: number): readonly string[] {
  const value = raw(doc, path);
  const texts = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string");
  if (!texts) return refuse(path, "a list of texts", value);
  return count === undefined || value.length === count ? value : refuse(path, `a list of ${count} texts`, value);
}

/** A whole number, also where it is written as a text. */
export function wholeOf(doc: Doc, path: string): number {
  const value = raw(doc, path);
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return Number.isSafeInteger(number) ? (number as number) : refuse(path, "a whole number", value);
}

export function wholesOf(doc: Doc, path: string, count: number): readonly number[] {
  const value = raw(doc, path);
  const whole = Array.isArray(value) && value.length === count && value.every(Number.isSafeInteger);
  return whole ? value : refuse(path, `a list of ${count} whole numbers`, value);
}
