/** The checksum of ZIP archives. */
import type { ByteSource } from "./source.js";

/** Bytes summed at a time. */
const CHUNK = 2 ** 20;

/** Four tables of 256: what the bytes of a word still do to the sum when three, two, one or none of them follow. */
const TABLES = new Uint32Array(4 * 256);
for (let i = 0; i < 256; i++) {
  let sum = i;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  TABLES[i] = sum;
}
for (let i = 256; i < TABLES.length; i++) TABLES[i] = (TABLES[i - 256]! >>> 8) ^ TABLES[TABLES[i - 256]! & 0xff]!;

/**
 * CRC-32 of bytes, four at a time.
 * @param before the sum of the bytes in front of them
 * @see PKWARE, APPNOTE.TXT 6.3.10, section 4.4.7; Sarwate, 1988, doi:10.1145/63030.63037
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let sum = ~before;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    sum ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    sum =
      TABLES[768 + (sum & 0xff)]! ^
      TABLES[512 + ((sum >>> 8) & 0xff)]! ^
      TABLES[256 + ((sum >>> 16) & 0xff)]! ^
      TABLES[sum >>> 24]!;
  }
  for (; i < bytes.length; i++) sum = (sum >>> 8) ^ TABLES[(sum ^ bytes[i]!) & 0xff]!;
  return ~sum >>> 0;
}

/** CRC-32 of a part of a source of any size. */
export async function crc32Of(source: ByteSource, offset: number, length: number): Promise<number> {
  const sumOf = source.crc32 ?? crc32;
  let sum = 0;
  for (let done = 0; done < length; done += CHUNK)
    sum = sumOf(await source.read(offset + done, Math.min(CHUNK, length - done)), sum);
  return sum;
}
