/** Data of tasks in a local folder, in the layouts that the Hugging Face hub and its users have. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { GloraError } from "../../base/errors.js";
import { openFile } from "../../formats/file.node.js";
import type { TaskData } from "./prompts.js";
import { readRecords } from "./records.js";
import type { BenchmarkTask, Doc } from "./task.js";

/** Gives the data of a task. */
export type TaskSource = (task: BenchmarkTask) => TaskData;

const KINDS = ["parquet", "jsonl", "json"];

/**
 * The data below a folder: a split of `allenai/ai2_arc`, configuration `ARC-Challenge`, is looked for in
 * `allenai/ai2_arc/ARC-Challenge/`, `ai2_arc/ARC-Challenge/`, `ARC-Challenge/` and `arc_challenge/`, as `test.jsonl`,
 * `test.json`, `test.parquet` or `test-00000-of-00001.parquet`; without a configuration also in a folder `data`.
 *
 * @throws {GloraError} FILE if there is no such folder; from its calls DATA if a split is not there, saying where it was
 *   looked for, and errors of {@link readRecords}
 */
export async function localTasks(folder: string): Promise<TaskSource> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory())
    throw new GloraError("FILE", `${folder}: no such folder.`, { folder });
  return (task) => async (split) => {
    const places = placesOf(task).map((place) => join(folder, place));
    for (const place of places) {
      const files = await splitFiles(place, split);
      if (files.length > 0) return recordsOf(files);
    }
    throw new GloraError(
      "DATA",
      `${folder}: has no ${split} split of ${task.name}. Looked for ${split}.jsonl, ${split}.json, ${split}.parquet and ` +
        `${split}-00000-of-00001.parquet in ${places.join(", ")}. Put the files of ${repository(task)} there.`,
      { folder, task: task.name, split, places },
    );
  };
}

/** The data set as people find it: its page on the hub. */
const repository = ({ dataset: { path, name } }: BenchmarkTask): string =>
  `https://huggingface.co/datasets/${path}${name === undefined ? "" : ` (${name})`}`;

/** Folders that may hold a task's splits, the official one first. */
function placesOf({ name: task, dataset: { path, name } }: BenchmarkTask): string[] {
  const short = path.slice(path.indexOf("/") + 1);
  const below = name === undefined ? ["", "data", "default", "plain_text"] : [name];
  const official = [path, short].flatMap((place) => below.map((inner) => join(place, inner)));
  return [...official, ...(name === undefined ? [] : [name]), task].filter((place, i, all) => all.indexOf(place) === i);
}

/** The files of a split in a folder, in their order; none if there are none. */
export async function splitFiles(folder: string, split: string): Promise<string[]> {
  const names = (await readdir(folder).catch(() => [])).sort();
  for (const kind of KINDS) {
    const pattern = new RegExp(`^${split}(?:-\\d{5}-of-(\\d{5}))?\\.${kind}$`);
    const found = names.filter((name) => pattern.test(name));
    if (found.length === 0) continue;
    const expected = Number(pattern.exec(found[0]!)![1] ?? 1);
    if (found.length !== expected)
      throw new GloraError(
        "DATA",
        `${folder}: ${found.length} of the ${expected} files of the ${split} split are there (${found.join(", ")}).`,
        { folder, split, expected, actual: found.length },
      );
    return found.map((name) => join(folder, name));
  }
  return [];
}

export async function recordsOf(files: readonly string[]): Promise<Doc[]> {
  const records: Doc[] = [];
  for (const file of files) records.push(...(await readRecords(await openFile(file))));
  return records;
}
