import { readdir, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { GloraError, messageOf } from "../../base/errors.js";
import { type CsvRow, readCsv } from "../../formats/csv.node.js";
import { openFile } from "../../formats/file.node.js";
import { sourceText } from "../../formats/folder.js";
import { type JsonRecord, readJsonLines, readJsonRecords } from "../../formats/jsonl.js";
import { readParquet } from "../../formats/parquet.js";
import type { ByteSource } from "../../formats/source.js";
import type { SplitName } from "../dataset.js";
import { isColumnName } from "./columns.js";
import type { TextOptions } from "./text-options.js";
import { show, type TextRecord } from "./text-record.js";

/** The records of a file, and what is wrong with those that are none. */
export interface TextFile {
  readonly records: readonly TextRecord[];
  readonly problems: readonly string[];
  /** A table whose columns have numbers in place of names. */
  readonly unnamed: boolean;
}

type Reader = (source: ByteSource, name: string, o: TextOptions) => Promise<TextFile>;

const readers: Readonly<Record<string, Reader>> = {
  ".jsonl": async (source, name) => fromJson(await readJsonLines(source), name, false),
  ".json": async (source, name) => fromJson(await readJsonRecords(source), name, true),
  ".csv": async (source, name, o) => fromTable(await readCsv(source, ","), name, o),
  ".tsv": async (source, name, o) => fromTable(await readCsv(source, "\t"), name, o),
  ".parquet": async (source, name) => {
    const rows = await readParquet(source);
    return named(rows.map((fields, i) => ({ place: `${name} row ${i + 1}`, fields })));
  },
  ".txt": async (source, name) => named([{ place: `${name}:1`, fields: { text: await sourceText(source) } }]),
};

/** Endings of the files that are read. */
export const textExtensions: readonly string[] = Object.keys(readers);

/**
 * Reads a data file by its ending; without a known one it is a table, parted by tabs or else by commas.
 * @throws {GloraError} FILE or DATA if it cannot be read as a whole
 */
export async function readTextFile(path: string, o: TextOptions): Promise<TextFile> {
  const name = basename(path);
  const source = await openFile(path, path);
  const reader = readers[extname(path).toLowerCase()] ?? ((await hasTabs(source)) ? readers[".tsv"] : readers[".csv"])!;
  return reader(source, name, o);
}

const hasTabs = async (source: ByteSource): Promise<boolean> =>
  (await source.read(0, Math.min(source.size, 4096))).includes(0x09);

const named = (records: readonly TextRecord[]): TextFile => ({ records, problems: [], unnamed: false });

function fromJson(list: readonly JsonRecord[], name: string, numbered: boolean): TextFile {
  const records: TextRecord[] = [];
  const problems: string[] = [];
  list.forEach(({ line, value, problem }, i) => {
    const place = `${name}:${line}${numbered && list.length > 1 ? ` (record ${i + 1})` : ""}`;
    if (problem !== undefined) problems.push(`${place}: ${problem}`);
    else if (typeof value !== "object" || value === null || Array.isArray(value))
      problems.push(`${place}: ${show(value)} is no object of fields`);
    else records.push({ place, fields: value as Readonly<Record<string, unknown>> });
  });
  return { records, problems, unnamed: false };
}

function fromTable(rows: readonly CsvRow[], name: string, o: TextOptions): TextFile {
  const [first] = rows;
  if (!first) return named([]);
  const asked = [o.textColumn, o.secondColumn, o.labelColumn];
  const unnamed = !(o.header ?? first.cells.some((cell) => isColumnName(cell) || asked.includes(cell)));
  const columns = unnamed ? first.cells.map((_, i) => String(i + 1)) : first.cells;
  const records: TextRecord[] = [];
  const problems: string[] = [];
  const twice = columns.find((column, i) => columns.indexOf(column) < i);
  if (twice !== undefined) problems.push(`${name}:${first.line}: two columns are called ${JSON.stringify(twice)}`);
  for (const { line, cells } of unnamed ? rows : rows.slice(1)) {
    const place = `${name}:${line}`;
    if (cells.length === columns.length)
      records.push({ place, fields: Object.fromEntries(columns.map((column, i) => [column, cells[i]])) });
    else problems.push(`${place}: ${cells.length} cells, where the first row has ${columns.length}`);
  }
  return { records, problems, unnamed };
}

export type SplitFiles = Readonly<Record<SplitName, readonly string[]>>;

const splitNamesOf: Readonly<Record<string, SplitName>> = {
  train: "train",
  validation: "validation",
  valid: "validation",
  val: "validation",
  dev: "validation",
  test: "test",
};

/** The split that a file's name says: "train.tsv", "validation-00000-of-00001.parquet". */
function splitOf(file: string): SplitName | undefined {
  const [, stem] = /^([a-z]+)([-_.]\d.*)?\.[a-z]+$/i.exec(file) ?? [];
  return splitNamesOf[stem?.toLowerCase() ?? ""];
}

/**
 * The files of each split: one file alone is for training; in a folder those named train, validation (val, valid, dev)
 * and test, or the only data file that there is.
 *
 * @throws {GloraError} DATA if there is no file to train on
 */
export async function textFilesOf(path: string): Promise<SplitFiles> {
  const info = await stat(path).catch((thrown: unknown) => {
    throw new GloraError("DATA", `"${path}" cannot be read: ${messageOf(thrown)}`, { path }, thrown);
  });
  const files: Record<SplitName, string[]> = { train: [], validation: [], test: [] };
  if (!info.isDirectory()) return { ...files, train: [path] };
  const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
  const known = names.filter((name) => textExtensions.includes(extname(name).toLowerCase()));
  for (const name of known) {
    const split = splitOf(name);
    if (split) files[split].push(join(path, name));
  }
  if (files.train.length > 0) return files;
  const only = known.length > 0 ? known : names;
  if (files.validation.length + files.test.length === 0 && only.length === 1)
    return { ...files, train: [join(path, only[0]!)] };
  throw new GloraError(
    "DATA",
    `"${path}" has no train${textExtensions.join(", train")}; it holds ${names.slice(0, 8).join(", ") || "nothing"}. ` +
      "Name the file itself to cut the splits from it.",
    { path, files: names },
  );
}

/** Whether a path is text data: a file, or a folder with files of splits, or with one data file and no folders. */
export async function isTextData(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isDirectory()) return info?.isFile() ?? false;
  const entries = (await readdir(path, { withFileTypes: true })).filter(({ name }) => !name.startsWith("."));
  const data = entries.filter(({ name }) => textExtensions.includes(extname(name).toLowerCase()));
  if (data.some(({ name }) => splitOf(name) !== undefined)) return true;
  return data.length === 1
    ? !entries.some((entry) => entry.isDirectory())
    : entries.length === 1 && entries[0]!.isFile();
}
