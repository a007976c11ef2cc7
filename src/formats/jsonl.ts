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
 * The records of a .json file: the elements of its list, or a value a line where it holds no list. In a list that is not
 * valid JSON the elements are read one by one, so that each that is wrong is found.
 *
 * @throws {GloraError} FILE if it cannot be read, DATA if it is a list that is not valid JSON though its elements are
 */
export async function readJsonRecords(source: ByteSource): Promise<JsonRecord[]> {
  const text = await sourceText(source);
  if (!/^\s*\[/.test(text)) return readJsonLines(source);
  const whole = parsed(text);
  const elements = elementsOf(text);
  if (whole.problem === undefined) {
    const values = whole.value as readonly unknown[];
    return values.map((value, i) => ({ line: elements[i]!.line, value }));
  }
  const records = elements.map(({ line, start, end }) => ({ line, ...parsed(text.slice(start, end)) }));
  if (records.some(({ problem }) => problem !== undefined)) return records;
  throw new GloraError("DATA", `${source.name}: ${whole.problem}`, { file: source.name });
}

interface Element {
  readonly line: number;
  readonly start: number;
  readonly end: number;
}

/** Where the elements of the outermost list stand, told by brackets, commas and strings alone. */
function elementsOf(text: string): Element[] {
  const elements: Element[] = [];
  let [line, depth, quoted] = [1, 0, false];
  let open: { readonly line: number; readonly start: number } | undefined;
  const close = (end: number): void => {
    if (open) elements.push({ ...open, end });
    open = undefined;
  };
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quoted) {
      if (char === "\\") i++;
      else if (char === '"') quoted = false;
    } else if (char === "," && depth === 1) close(i);
    else if (char === "]" || char === "}") {
      if (--depth === 0) close(i);
    } else {
      if (depth === 1 && !open && !/\s/.test(char)) open = { line, start: i };
      if (char === '"') quoted = true;
      else if (char === "[" || char === "{") depth++;
    }
    if (char === "\n") line++;
  }
  close(text.length); // the end of the list is missing
  return elements;
}
