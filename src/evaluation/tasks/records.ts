/** Records of a file: JSON lines, a JSON list, or Parquet. */
import { throwProblems } from "../../formats/fields.js";
import { readJsonRecords } from "../../formats/jsonl.js";
import { readParquet } from "../../formats/parquet.js";
import type { ByteSource } from "../../formats/source.js";
import type { Doc } from "./task.js";

/** @throws {GloraError} FILE if the file cannot be read, DATA naming every line whose record is no object */
export async function readRecords(source: ByteSource): Promise<Doc[]> {
  if (source.name.endsWith(".parquet")) return readParquet(source);
  const records = await readJsonRecords(source);
  const problems = records.flatMap(({ line, value, problem }) => {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? [] : [`line ${line}: ${problem ?? "a JSON object is expected"}`];
  });
  throwProblems("DATA", source.name, problems);
  return records.map(({ value }) => value as Doc);
}
