import { GloraError } from "../base/errors.js";

/** A file that is read by ranges: on disk, a browser's Blob, or bytes in memory. */
export interface ByteSource {
  /** For messages: the file's name, with as much of its path as helps to find it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Absolute path without symbolic links, when it is a local file: the runtime maps it into memory. */
  readonly path?: string;
  /**
   * Exactly `length` bytes from `offset`. The bytes may be shared with the source: do not write to them.
   * @throws {GloraError} "FILE" if the range leaves the file or cannot be read
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Present where the file holds checksums: compares those of all that a range touches. `read` does it first; who maps the
   * file asks for it.
   * @throws {GloraError} "FILE" if the bytes have changed since they were written
   */
  verify?(offset: number, length: number): Promise<void>;
  /** CRC-32 of bytes behind others whose sum is `before`, where the source knows a faster way than ours. */
  crc32?(bytes: Uint8Array, before: number): number;
}

/** Bytes in memory as a source. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    read: async (offset, length) => {
      checkRange(name, bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** Refuses a range that is not inside `size` bytes. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new GloraError(
    "FILE",
    `${name}: cannot read ${length} bytes at ${offset}: the file has ${size} bytes. It may be truncated; fetch it again.`,
    { file: name, offset, length, size },
  );
}
