/** A file to which a run adds JSON, a line at a time. */
import { GloraError } from "../base/errors.js";

export interface JsonLine {
  /** Counted from 1. */
  readonly number: number;
  readonly json: unknown;
  /** Its text, with a newline. */
  readonly text: string;
}

/**
 * The lines of a file, without empty ones. A last line that is only half written, as a killed process leaves it, is dropped:
 * whoever goes on writing must first write the file anew from the lines returned.
 *
 * @param file  the file's name, for errors
 * @throws {GloraError} FILE, naming the line, if another line is no JSON
 */
export function jsonLines(text: string, file: string): JsonLine[] {
  const contents = [...text.split("\n").entries()].filter(([, content]) => content.trim() !== "");
  const lines: JsonLine[] = [];
  for (const [place, [index, content]] of contents.entries()) {
    const number = index + 1;
    const json = parse(content);
    if (json !== undefined) lines.push({ number, json, text: `${content}\n` });
    // A line that was cut is never valid JSON, and only the last one can have been.
    else if (place < contents.length - 1) throw brokenLine(file, number, "not valid JSON");
  }
  return lines;
}

export const brokenLine = (file: string, line: number, problem: string): GloraError =>
  new GloraError("FILE", `${file}, line ${line}: ${problem}. Restore the file, or start anew without it.`, {
    file,
    line,
  });

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
