import { GloraError } from "../base/errors.js";

/**
 * UTF-8 bytes as text; a byte order mark at the start is left out.
 * @throws {GloraError} FILE with the line where they are no UTF-8
 */
export function decodeUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw notUtf8(bytes, name, 1, thrown);
  }
}

/** @param line the one on which the bytes begin, from 1 */
export function notUtf8(bytes: Uint8Array, name: string, line: number, cause: unknown): GloraError {
  const wide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const at = line + linesBefore(bytes);
  return new GloraError(
    "FILE",
    `${name}: ${wide ? "UTF-16 text, where UTF-8 is expected" : `line ${at} is not UTF-8 text`}. Save the file as UTF-8.`,
    { file: name, line: at },
    cause,
  );
}

/** How many lines end before the first one that is no UTF-8. */
function linesBefore(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  // A character that began before these bytes is not theirs.
  let start = Math.max(
    0,
    bytes.findIndex((byte) => (byte & 0xc0) !== 0x80),
  );
  for (let count = 0; ; count++) {
    const end = bytes.indexOf(LF, start);
    try {
      decoder.decode(bytes.subarray(start, end < 0 ? undefined : end));
    } catch {
      return count;
    }
    if (end < 0) return count;
    start = end + 1;
  }
}

const LF = 0x0a;
