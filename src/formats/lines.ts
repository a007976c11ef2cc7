import { GloraError } from "../base/errors.js";
import type { ByteSource } from "./source.js";
import { notUtf8 } from "./utf8.js";

/** A line of a text file, without its end. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

const CHUNK = 4 * 2 ** 20;

const LONGEST = 100e6;

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
 * @throws {GloraError} FILE if the bytes are not UTF-8, or a line is longer than 100 million characters
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  let rest = "";
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (thrown) {
      throw notUtf8(chunk ?? new Uint8Array(), name, number + 1, thrown);
    }
  };
  const line = (text: string): Line => ({ number: ++number, text: text.endsWith("\r") ? text.slice(0, -1) : text });
  for await (const chunk of chunks) {
    const [end, ...others] = decode(chunk).split("\n");
    rest += end;
    for (const text of others) {
      yield line(rest);
      rest = text;
    }
    if (rest.length > LONGEST)
      throw new GloraError(
        "FILE",
        `${name}: line ${number + 1} is longer than ${LONGEST / 1e6} million characters, more than any record. Put each record on a line of its own.`,
        { file: name, line: number + 1 },
      );
  }
  rest += decode();
  if (rest !== "") yield line(rest);
}
