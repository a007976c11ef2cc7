import { GloraError, messageOf } from "../base/errors.js";
import { sourceText } from "./folder.js";
import { chunksOf, linesOf } from "./lines.js";
import type { ByteSource } from "./source.js";

/** A JSON value and where it stands, or what is wrong there. */
export interface JsonRecord {
  /** Line on which it starts, from 1. */
  readonly line: number;
  readonly value?: unknown;
  readonly problem?: string;
}

/** A JSON value a line; empty lines are passed over. */
export async function readJsonLines(source: ByteSource): Promise<JsonRecord[]> {
  const records: JsonRecord[] = [];
  for await (const { number, text } of linesOf(chunksOf(source), source.name)) {
    if (text.trim() !== "") records.push({ line: number, ...parsed(text) });
  }
  return records;
}

function parsed(text: string): { readonly value?: unknown; readonly problem?: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (thrown) {
    return { problem: `not valid JSON: ${messageOf(thrown)}` };
  }
}

/**
 * The records of a .json file: the elements of its list, or a value a line where it holds no list.
 * @throws {GloraError} FILE if it cannot be read, DATA if it is one list that is not valid JSON
 */
export async function readJsonRecords(source: ByteSource): Promise<JsonRecord[]> {
  const text = await sourceText(source);
  if (!/^\s*\[/.test(text)) return readJsonLines(source);
  let values: readonly unknown[];
  try {
    values = JSON.parse(text);
  } catch (thrown) {
    const [, position] = /position (\d+)/.exec(messageOf(thrown)) ?? [];
    const line = position === undefined ? undefined : text.slice(0, Number(position)).split("\n").length;
    throw new GloraError(
      "DATA",
      `${source.name}${line === undefined ? "" : `:${line}`}: not valid JSON: ${messageOf(thrown)}`,
      { file: source.name, line },
      thrown,
    );
  }
  const lines = elementLines(text);
  return values.map((value, i) => ({ line: lines[i]!, value }));
}

/** The line on which each element of the outermost list starts. The text must be a valid list. */
function elementLines(text: string): number[] {
  const lines: number[] = [];
  let [line, depth, expected, quoted] = [1, 0, false, false];
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char === "\n") line++;
    if (quoted) {
      if (char === "\\") i++;
      else if (char === '"') quoted = false;
      continue;
    }
    if (depth === 1 && expected && !/[\s\]]/.test(char)) {
      lines.push(line);
      expected = false;
    }
    if (char === '"') quoted = true;
    else if (char === "[" || char === "{") {
      if (depth++ === 0) expected = true;
    } else if (char === "]" || char === "}") depth--;
    else if (char === "," && depth === 1) expected = true;
  }
  return lines;
}
