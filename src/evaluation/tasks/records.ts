/** Records of a file: JSON lines, a JSON list, or Parquet. */
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { GloraError, messageOf } from "../../base/errors.js";
import { sourceText } from "../../formats/folder.js";
import type { ByteSource } from "../../formats/source.js";
import type { Doc } from "./task.js";

/** @throws {GloraError} FILE if the file cannot be read, DATA naming the line if a record is not an object */
export async function readRecords(source: ByteSource): Promise<Doc[]> {
  if (source.name.endsWith(".parquet")) return readParquet(source);
  const text = await sourceText(source);
  const list = text.trimStart().startsWith("[") ? asList(parse(text, source.name)) : undefined;
  const records = list
    ? list.map((json, i) => ({ json, place: `record ${i + 1}` }))
    : [...text.split("\n").entries()]
        .filter(([, line]) => line.trim() !== "")
        .map(([i, line]) => ({ json: parse(line, `${source.name}, line ${i + 1}`), place: `line ${i + 1}` }));
  return records.map(({ json, place }) => {
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Doc;
    throw new GloraError("DATA", `${source.name}, ${place}: a JSON object is expected.`, { file: source.name, place });
  });
}

const asList = (json: unknown): unknown[] | undefined => (Array.isArray(json) ? json : undefined);

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new GloraError("DATA", `${where}: not valid JSON: ${messageOf(thrown)}`, { file: where }, thrown);
  }
}

async function readParquet(source: ByteSource): Promise<Doc[]> {
  const file = {
    byteLength: source.size,
    slice: async (start: number, end = source.size): Promise<ArrayBuffer> => {
      const from = start < 0 ? source.size + start : start;
      return Uint8Array.from(await source.read(from, end - from)).buffer;
    },
  };
  try {
    return (await parquetReadObjects({ file, compressors })).map((row) => plain(row) as Doc);
  } catch (thrown) {
    throw new GloraError(
      "FILE",
      `${source.name}: not a readable Parquet file: ${messageOf(thrown)}`,
      { file: source.name },
      thrown,
    );
  }
}

/** The same value as JSON would have it: 64-bit numbers are plain ones. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
