import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { GloraError, messageOf } from "../base/errors.js";
import type { ByteSource } from "./source.js";

/**
 * The rows of a Parquet file as objects; 64-bit integers that fit become numbers.
 * @throws {GloraError} FILE if it is no Parquet file, or damaged
 */
export async function readParquet(source: ByteSource): Promise<Record<string, unknown>[]> {
  const file = {
    byteLength: source.size,
    slice: async (start: number, end = source.size): Promise<ArrayBuffer> => {
      const bytes = await source.read(start, end - start);
      return bytes.slice().buffer as ArrayBuffer;
    },
  };
  try {
    const metadata = await parquetMetadataAsync(file);
    // The library begins to read columns before it has understood the schema. If it cannot, nobody waits for them any
    // more, and an error in one would end the process: they get their bytes when that is done.
    let begin = (): void => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const slice: typeof file.slice = (start, end) => {
      const bytes = begun.then(() => file.slice(start, end));
      bytes.catch(() => {}); // `reading` tells it
      return bytes;
    };
    const reading = parquetReadObjects({ file: { ...file, slice }, metadata, compressors });
    await Promise.race([reading, new Promise((resolve) => setTimeout(resolve))]);
    begin();
    const rows = await reading;
    return rows.map((row) => plain(row) as Record<string, unknown>);
  } catch (thrown) {
    throw new GloraError(
      "FILE",
      `${source.name}: cannot be read as Parquet: ${messageOf(thrown)}`,
      { file: source.name },
      thrown,
    );
  }
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value as ArrayLike<unknown>, plain);
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  return value;
}
