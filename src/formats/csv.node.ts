import { parse } from "csv-parse/sync";
import { GloraError, messageOf } from "../base/errors.js";
import { sourceText } from "./folder.js";
import type { ByteSource } from "./source.js";

/** A row of cells. */
export interface CsvRow {
  /** Line on which it starts, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/**
 * The rows of a table in text; empty lines are passed over. Commas: RFC 4180, with quotes. Tabs: a quote is a character as
 * any other, as in the files of GLUE, unless the first line has a cell in quotes and the whole can be read so.
 *
 * @throws {GloraError} FILE if it cannot be read, DATA with the line if its quotes are broken
 */
export async function readCsv(source: ByteSource, delimiter: "," | "\t"): Promise<CsvRow[]> {
  const text = await sourceText(source);
  if (delimiter === "\t") {
    const firstLine = text.slice(0, text.search(/[\r\n]|$/));
    if (!/(^|\t)"([^"\t]|"")*"(\t|$)/.test(firstLine)) return rowsOf(text, "\t", false);
    try {
      return rowsOf(text, "\t", true);
    } catch {
      return rowsOf(text, "\t", false);
    }
  }
  try {
    return rowsOf(text, delimiter, true);
  } catch (thrown) {
    throw new GloraError(
      "DATA",
      `${source.name}: ${messageOf(thrown)}. A cell with quotes stands in quotes, and each within is written twice: "a ""b"" c".`,
      { file: source.name },
      thrown,
    );
  }
}

function rowsOf(text: string, delimiter: string, quotes: boolean): CsvRow[] {
  const bytes = Buffer.from(text);
  const rows = parse(bytes, {
    delimiter,
    quote: quotes ? '"' : false,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    skip_empty_lines: true,
    info: true,
  }) as unknown as readonly { readonly info: { readonly bytes: number }; readonly record: readonly string[] }[];
  // The parser's own count of lines takes CR LF within quotes for two.
  let [line, counted] = [1, 0];
  return rows.map(({ info, record }) => {
    const end = bytes[info.bytes - 1] === LF ? info.bytes - 1 : info.bytes;
    for (; counted < end; counted++) if (bytes[counted] === LF) line++;
    const breaks = record.reduce((sum, cell) => sum + cell.split("\n").length - 1, 0);
    return { line: line - breaks, cells: record };
  });
}

const LF = 0x0a;
