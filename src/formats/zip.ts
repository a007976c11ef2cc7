import { GloraError } from "../base/errors.js";
import { checkedSource } from "./checked-source.js";
import { crc32 } from "./crc32.js";
import { type ByteSource, memorySource } from "./source.js";

/** Where bytes lie in a source. */
export interface ByteRange {
  readonly source: ByteSource;
  /** Of the first byte, from the start of the source. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** Where the bytes of a file in an archive lie. */
export interface ZipRange extends ByteRange {
  /** The same without the checksum, for which all of the file is read: for a look at its beginning. */
  readonly unchecked: ByteSource;
}

/** A file in a ZIP archive. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes that it holds, uncompressed. */
  readonly size: number;
  /** Where these are: in the archive itself if they are stored, in memory if they had to be inflated. */
  open(): Promise<ZipRange>;
}

const STORED = 0;
const DEFLATED = 8;

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const ZIP64_FIELD = 1;

/** Bytes of the directory; archives of weights have some 10 KB. */
const LARGEST_DIRECTORY = 2 ** 26;
/** Bytes of all compressed files of an archive together, since they are inflated into memory. */
const LARGEST_INFLATED = 2 ** 31;
/** No deflate stream packs more bytes into one. */
const LARGEST_RATIO = 1032;

/**
 * The directory of a ZIP archive: its names and where their bytes lie, with zip64 (whose local headers say nothing of
 * sizes, as numpy writes them). No file in it is read. Nothing is believed before it is checked: a file's checksum is compared
 * when a byte of it is first read through the range that it opens as. A checksum of 0 is one that was not computed, as PyTorch
 * leaves it where it is told to (`set_crc32_options`).
 *
 * @throws {GloraError} "FILE" that says what is wrong: not a ZIP archive, a directory that contradicts itself or leaves the
 *   file, a name that occurs twice, an encrypted file, one in several parts
 * @see PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3
 */
export async function readZip(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const refuse = refusal(source);
  const { offset, length, count } = await findDirectory(source, refuse);
  if (length > LARGEST_DIRECTORY) refuse(`its directory claims ${length} bytes; the limit is ${LARGEST_DIRECTORY}`);
  const bytes = await source.read(offset, length);
  const entries = new Map<string, ZipEntry>();
  const checked = checkedSource(source);
  let at = 0;
  let inflated = 0;
  while (at < length) {
    const { header, end } = parseHeader(bytes, at, refuse);
    if (entries.has(header.name)) refuse(`${JSON.stringify(header.name)} occurs twice in its directory`);
    if (header.start + header.packed > offset) refuse(`${JSON.stringify(header.name)} leaves the file`);
    if (header.method === STORED && header.packed !== header.size)
      refuse(`${JSON.stringify(header.name)} is stored in ${header.packed} bytes, but has ${header.size}`);
    if (header.method === DEFLATED) inflated += header.size;
    if (header.size > Math.max(header.packed, 1) * LARGEST_RATIO)
      refuse(`${JSON.stringify(header.name)} claims to be ${header.size} bytes packed into ${header.packed}`);
    if (inflated > LARGEST_INFLATED)
      refuse(`its compressed files claim over ${LARGEST_INFLATED} bytes, the limit of what is inflated into memory`);
    let opened: Promise<ZipRange> | undefined;
    const open = (): Promise<ZipRange> => {
      opened ??= openEntry(source, header, offset, checked);
      return opened;
    };
    entries.set(header.name, { name: header.name, size: header.size, open });
    at = end;
  }
  if (entries.size !== count) refuse(`its directory lists ${entries.size} files, and claims ${count}`);
  return entries;
}

type Refuse = (what: string) => never;

const refusal =
  ({ name }: ByteSource): Refuse =>
  (what) => {
    throw new GloraError("FILE", `${name}: not a valid ZIP archive: ${what}. Fetch or export it again.`, {
      file: name,
    });
  };

/** The directory lies in front of the record that ends the archive, behind which only a comment may stand. */
async function findDirectory(source: ByteSource, refuse: Refuse) {
  const length = Math.min(source.size, 22 + 0xffff);
  const start = source.size - length;
  const tail = view(await source.read(start, length));
  for (let at = length - 22; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END || at + 22 + tail.getUint16(at + 20, true) !== length) continue;
    const end = start + at;
    const [disk, directoryDisk] = [tail.getUint16(at + 4, true), tail.getUint16(at + 6, true)];
    const found = {
      count: tail.getUint16(at + 10, true),
      length: tail.getUint32(at + 12, true),
      offset: tail.getUint32(at + 16, true),
    };
    const wide = at >= 20 && tail.getUint32(at - 20, true) === END64_LOCATOR;
    const directory = wide ? await findDirectory64(source, natural(tail, at - 12, refuse), refuse) : found;
    if (!wide && (disk !== 0 || directoryDisk !== 0)) refuse("it is one of several parts");
    if (directory.offset + directory.length > end) refuse("its directory leaves the file");
    return directory;
  }
  return refuse("it has no directory at its end (truncated?)");
}

async function findDirectory64(source: ByteSource, at: number, refuse: Refuse) {
  if (at + 56 > source.size) return refuse("its zip64 record leaves the file");
  const record = view(await source.read(at, 56));
  if (record.getUint32(0, true) !== END64) return refuse("its zip64 record is not where it should be");
  if (record.getUint32(16, true) !== 0 || record.getUint32(20, true) !== 0) return refuse("it is one of several parts");
  return {
    count: natural(record, 32, refuse),
    length: natural(record, 40, refuse),
    offset: natural(record, 48, refuse),
  };
}

interface Header {
  readonly name: string;
  readonly method: number;
  readonly size: number;
  readonly crc32: number;
  /** Bytes in the archive. */
  readonly packed: number;
  /** Of the local header, in front of the bytes. */
  readonly start: number;
}

function parseHeader(bytes: Uint8Array, at: number, refuse: Refuse): { header: Header; end: number } {
  const directory = view(bytes);
  if (at + 46 > bytes.length || directory.getUint32(at, true) !== CENTRAL)
    return refuse("its directory is not well formed");
  const nameEnd = at + 46 + directory.getUint16(at + 28, true);
  const extraEnd = nameEnd + directory.getUint16(at + 30, true);
  const end = extraEnd + directory.getUint16(at + 32, true);
  if (end > bytes.length) return refuse("its directory is not well formed");
  const name = new TextDecoder().decode(bytes.subarray(at + 46, nameEnd));
  if ((directory.getUint16(at + 8, true) & 1) === 1) return refuse(`${JSON.stringify(name)} is encrypted`);

  // Sizes and place that do not fit into 32 bits follow in this order in a field of the extra part.
  let wide = findField(directory, nameEnd, extraEnd);
  const wideEnd = wide === undefined ? 0 : wide + directory.getUint16(wide - 2, true);
  const number = (place: number): number => {
    const narrow = directory.getUint32(place, true);
    if (narrow !== 0xffffffff || wide === undefined) return narrow;
    if (wide + 8 > wideEnd) return refuse(`${JSON.stringify(name)} has no zip64 size`);
    wide += 8;
    return natural(directory, wide - 8, refuse);
  };
  const size = number(at + 24);
  const packed = number(at + 20);
  const start = number(at + 42);
  const [method, crc] = [directory.getUint16(at + 10, true), directory.getUint32(at + 16, true)];
  return { header: { name, method, size, crc32: crc, packed, start }, end };
}

/** Where the zip64 field's contents begin. */
function findField(directory: DataView, from: number, to: number): number | undefined {
  for (let at = from; at + 4 <= to; ) {
    const end = at + 4 + directory.getUint16(at + 2, true);
    if (directory.getUint16(at, true) === ZIP64_FIELD && end <= to) return at + 4;
    at = end;
  }
  return undefined;
}

/** @param limit where the directory begins, which no file's bytes may reach */
async function openEntry(
  source: ByteSource,
  entry: Header,
  limit: number,
  checked: ReturnType<typeof checkedSource>,
): Promise<ZipRange> {
  const { method, packed, size, start } = entry;
  const name = JSON.stringify(entry.name);
  const refuse = refusal(source);
  const refuseSum = (): never => refuse(`the bytes of ${name} do not have its checksum: they were changed or lost`);
  if (start + 30 > limit) return refuse(`${name} leaves the file`);
  const local = view(await source.read(start, 30));
  const nameLength = local.getUint16(26, true);
  // The extra part may be of another length here than in the directory.
  const offset = start + 30 + nameLength + local.getUint16(28, true);
  if (local.getUint32(0, true) !== LOCAL) return refuse(`${name} is not where its directory says`);
  if (offset + packed > limit) return refuse(`${name} leaves the file`);
  if (new TextDecoder().decode(await source.read(start + 30, nameLength)) !== entry.name)
    return refuse(`${name} has another name in front of its bytes`);
  if (method === STORED) {
    if (entry.crc32 !== 0) checked.add({ offset, length: size, crc32: entry.crc32, refuse: refuseSum });
    return { source: checked, unchecked: source, offset, length: size };
  }
  if (method !== DEFLATED) return refuse(`${name} is packed by method ${method}; stored or deflated is expected`);
  const bytes = await inflate(await source.read(offset, packed), size);
  if (bytes === undefined) return refuse(`${name} does not inflate to its ${size} bytes`);
  if (entry.crc32 !== 0 && crc32(bytes) !== entry.crc32) return refuseSum();
  const inflated = memorySource(source.name, bytes);
  return { source: inflated, unchecked: inflated, offset: 0, length: size };
}

/** Undefined if the stream is broken, or does not give exactly so many bytes. */
async function inflate(packed: Uint8Array, size: number): Promise<Uint8Array | undefined> {
  const reader = new Blob([new Uint8Array(packed)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"))
    .getReader();
  const bytes = new Uint8Array(size);
  let end = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return end === size ? bytes : undefined;
      if (end + value.length > size) {
        await reader.cancel();
        return undefined;
      }
      bytes.set(value, end);
      end += value.length;
    }
  } catch {
    return undefined;
  }
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** An unsigned number of 64 bits, as far as it is one that can be counted with. */
function natural(bytes: DataView, at: number, refuse: Refuse): number {
  const value = Number(bytes.getBigUint64(at, true));
  return Number.isSafeInteger(value) ? value : refuse(`a number in its directory is beyond 2^53`);
}
