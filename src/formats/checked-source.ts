import { crc32Of } from "./crc32.js";
import type { ByteSource } from "./source.js";

/** A range of a source whose CRC-32 is known. */
export interface CheckedRange {
  readonly offset: number;
  readonly length: number;
  readonly crc32: number;
  /** Says that its bytes have another. */
  readonly refuse: () => never;
}

/**
 * A source in which ranges have checksums. Each is compared once, when a byte of it is first asked for, and all its bytes are
 * read for that. Bytes outside of the ranges are read as they are.
 */
export function checkedSource(source: ByteSource): ByteSource & { add(range: CheckedRange): void } {
  const checks: { readonly range: CheckedRange; result?: Promise<void> }[] = [];
  const compare = async ({ offset, length, crc32, refuse }: CheckedRange): Promise<void> => {
    if ((await crc32Of(source, offset, length)) !== crc32) refuse();
  };
  const verify = async (offset: number, length: number): Promise<void> => {
    for (const check of checks) {
      const { range } = check;
      if (offset >= range.offset + range.length || range.offset >= offset + length) continue;
      check.result ??= compare(range);
      await check.result;
    }
  };
  return {
    ...source,
    verify,
    read: async (offset, length) => {
      await verify(offset, length);
      return source.read(offset, length);
    },
    add: (range) => void checks.push({ range }),
  };
}
