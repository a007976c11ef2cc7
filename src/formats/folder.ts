import { GloraError, messageOf } from "../base/errors.js";
import { placeholderError } from "./placeholder.js";
import type { ByteSource } from "./source.js";
import { decodeUtf8 } from "./utf8.js";

/** A folder of files: on disk, or files that were dropped on a page. */
export interface Folder {
  /** For messages. */
  readonly name: string;
  /** Absolute path, when it is a local folder. */
  readonly path?: string;
  /** Names of the files directly inside, sorted. */
  list(): Promise<string[]>;
  /** A file by its path relative to the folder, or undefined if there is none. */
  open(file: string): Promise<ByteSource | undefined>;
}

/** A folder that files are written to: on disk, or in memory. */
export interface WritableFolder extends Folder {
  /** Writes a file whole or not at all, in folders that are made where they are missing; pieces as they come. */
  write(file: string, content: string | Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /** Removes a file; one that is not there is no failure. */
  remove(file: string): Promise<void>;
}

/** Configs and indexes are small: a bigger "text" is a mistake, and would not fit in a string anyway. */
const LARGEST_TEXT = 100e6;

/**
 * A text file of a folder.
 * @throws {GloraError} "FILE" if it is missing, not UTF-8, or over 100 MB
 */
export async function readText(folder: Folder, file: string): Promise<string> {
  const source = await folder.open(file);
  if (source === undefined) {
    throw new GloraError("FILE", `${folder.name}: has no ${file}.`, { folder: folder.name, file });
  }
  return sourceText(source);
}

/** The whole of a source as text; errors as {@link readText}. */
export async function sourceText(source: ByteSource): Promise<string> {
  const details = { file: source.name };
  if (source.size > LARGEST_TEXT) {
    throw new GloraError(
      "FILE",
      `${source.name}: ${source.size} bytes is too long for a text file, which has at most 100 MB.`,
      details,
    );
  }
  return decodeUtf8(await source.read(0, source.size), source.name);
}

/**
 * A JSON file of a folder.
 * @throws {GloraError} "FILE" if it cannot be read, or a download left something else in its place; "CONFIG" if it is not JSON
 */
export async function readJson(folder: Folder, file: string): Promise<unknown> {
  return parseJson(await readText(folder, file), `${folder.name}/${file}`);
}

/**
 * JSON from a text; `file` is for the message.
 * @throws {GloraError} "CONFIG" if it is none, "FILE" if a download left something else in its place
 */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    const placeholder = placeholderError(text, file);
    if (placeholder) throw placeholder;
    throw new GloraError("CONFIG", `${file}: not valid JSON: ${messageOf(thrown)}`, { file }, thrown);
  }
}
