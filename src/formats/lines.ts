import { GloraError } from "../base/errors.js";
import type { ByteSource } from "./source.js";

/** A line of a text file, without its end. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

const CHUNK = 4 * 2 ** 20;

/** The bytes of a source, a few MiB at a time. */
export async function* chunksOf(source: ByteSource): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < source.size; offset += CHUNK)
    yield source.read(offset, Math.min(CHUNK, source.size - offset));
}

/**
 * The lines of UTF-8 text: they end in LF or CR LF, and in nothing else (a JSON string may hold U+2028). A byte order mark
 * at the start is left out.
 *
 * @param name for messages
 * @throws {GloraError} FILE if the bytes are not UTF-8
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  let rest = "";
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (thrown) {
      const after = number === 0 ? "" : ` (behind line ${number})`;
      throw new GloraError("FILE", `${name}: not UTF-8 text${after}.`, { file: name, line: number + 1 }, thrown);
    }
  };
  const line = (text: string): Line => ({ number: ++number, text: text.endsWith("\r") ? text.slice(0, -1) : text });
  for await (const chunk of chunks) {
    const lines = (rest + decode(chunk)).split("\n");
    rest = lines.pop()!;
    for (const text of lines) yield line(text);
  }
  rest += decode();
  if (rest !== "") yield line(rest);
}
