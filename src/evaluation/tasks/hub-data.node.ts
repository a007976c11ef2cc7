/** Data of tasks from the Hugging Face hub: its Parquet files, kept in a folder for the next time. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { GloraError, messageOf } from "../../base/errors.js";
import { writeFileAtomic } from "../../formats/folder.node.js";
import { memorySource } from "../../formats/source.js";
import { recordsOf, splitFiles, type TaskSource } from "./local-data.node.js";
import { readRecords } from "./records.js";
import type { BenchmarkTask, Doc } from "./task.js";

const HUB = "https://huggingface.co";

export interface HubOptions {
  /** Folder that keeps what was fetched; laid out so that it can be given as a local one too. */
  readonly cache: string;
  /** Address of the hub or of a mirror. Default: https://huggingface.co. */
  readonly endpoint?: string;
  readonly token?: string;
  /** Default: the platform's. */
  readonly fetch?: (
    url: string,
    options: { headers: Record<string, string>; signal?: AbortSignal },
  ) => Promise<Response>;
  readonly signal?: AbortSignal;
}

/**
 * The splits of a task as the hub converts every data set to Parquet (https://huggingface.co/docs/dataset-viewer/parquet).
 * @throws {GloraError} DATA from its calls, if the hub cannot be reached or has no such split, saying what to put where
 */
export function hubTasks(o: HubOptions): TaskSource {
  const endpoint = (o.endpoint ?? HUB).replace(/\/+$/, "");
  const load = o.fetch ?? fetch;
  const request = async <T>(url: string, read: (response: Response) => Promise<T>): Promise<T> => {
    // The key is the hub's: a list may name other places.
    const headers = o.token && url.startsWith(`${endpoint}/`) ? { authorization: `Bearer ${o.token}` } : {};
    try {
      const response = await load(url, { headers, ...(o.signal && { signal: o.signal }) });
      if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
      return await read(response);
    } catch (thrown) {
      const cause = thrown instanceof Error && thrown.cause ? ` (${messageOf(thrown.cause)})` : "";
      throw new Error(`${url}: ${messageOf(thrown)}${cause}`, { cause: thrown });
    }
  };
  return (task) => async (split) => {
    const { path, name } = task.dataset;
    const folder = join(o.cache, path, name ?? "");
    const kept = await splitFiles(folder, split);
    if (kept.length > 0) return recordsOf(kept);
    try {
      const list = await request(`${endpoint}/api/datasets/${path}/parquet`, (response) => response.json());
      const urls = urlsOf(list, task, split).map((url) => url.replace(HUB, endpoint));
      const parts = await partsOf(urls, split, (url) =>
        request(url, async (response) => new Uint8Array(await response.arrayBuffer())),
      );
      await mkdir(folder, { recursive: true });
      for (const { name, bytes } of parts) await writeFileAtomic(join(folder, name), bytes);
      return parts.flatMap(({ records }) => records);
    } catch (thrown) {
      if (o.signal?.aborted) throw new GloraError("ABORTED", "Interrupted.", {}, thrown);
      throw new GloraError(
        "DATA",
        `The ${split} split of ${task.name} cannot be fetched from ${endpoint}: ${messageOf(thrown)}. Where the hub cannot ` +
          `be reached, put its files (${endpoint}/datasets/${path}) into DIR/${path}${name === undefined ? "" : `/${name}`}/ as ` +
          `${split}.parquet or ${split}.jsonl and give --task-data DIR; HF_ENDPOINT names a mirror, HF_TOKEN a key.`,
        { task: task.name, split, endpoint },
        thrown,
      );
    }
  };
}

/** The files of a split: all of them, and read, before the first is written. One that is none would be found again each time. */
async function partsOf(urls: readonly string[], split: string, fetched: (url: string) => Promise<Uint8Array>) {
  const five = (n: number): string => `${n}`.padStart(5, "0");
  const parts: { readonly name: string; readonly bytes: Uint8Array; readonly records: readonly Doc[] }[] = [];
  for (const [i, url] of urls.entries()) {
    const bytes = await fetched(url);
    const name = `${split}-${five(i)}-of-${five(urls.length)}.parquet`;
    parts.push({ name, bytes, records: await readRecords(memorySource(`${url} as ${name}`, bytes)) });
  }
  return parts;
}

/** Addresses of a split's files, from the hub's list {configuration: {split: [url]}}. */
function urlsOf(listing: unknown, { dataset: { path, name } }: BenchmarkTask, split: string): string[] {
  const configurations = (listing ?? {}) as Record<string, Record<string, unknown> | undefined>;
  const [only, ...others] = Object.keys(configurations);
  const configuration = name ?? ("default" in configurations || others.length > 0 ? "default" : only);
  const urls = configuration === undefined ? undefined : configurations[configuration]?.[split];
  if (Array.isArray(urls) && urls.length > 0 && urls.every((url) => typeof url === "string")) return urls;
  throw new Error(`${path} has no ${split} files of ${configuration ?? "any configuration"} in its list`);
}
