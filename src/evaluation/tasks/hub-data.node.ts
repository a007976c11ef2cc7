/** Data of tasks from the Hugging Face hub: its Parquet files, kept in a folder for the next time. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { GloraError, messageOf } from "../../base/errors.js";
import { writeFileAtomic } from "../../formats/folder.node.js";
import { recordsOf, splitFiles, type TaskSource } from "./local-data.node.js";
import type { BenchmarkTask } from "./task.js";

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
  const request = async (url: string): Promise<Response> => {
    const response = await load(url, {
      headers: o.token ? { authorization: `Bearer ${o.token}` } : {},
      ...(o.signal && { signal: o.signal }),
    });
    if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
    return response;
  };
  return (task) => async (split) => {
    const { path, name } = task.dataset;
    const folder = join(o.cache, path, name ?? "");
    const kept = await splitFiles(folder, split);
    if (kept.length > 0) return recordsOf(kept);
    try {
      const urls = urlsOf(await (await request(`${endpoint}/api/datasets/${path}/parquet`)).json(), task, split);
      await mkdir(folder, { recursive: true });
      const five = (n: number): string => `${n}`.padStart(5, "0");
      const files = urls.map((_, i) => join(folder, `${split}-${five(i)}-of-${five(urls.length)}.parquet`));
      for (const [i, url] of urls.entries()) {
        const response = await request(url.replace(HUB, endpoint));
        await writeFileAtomic(files[i]!, new Uint8Array(await response.arrayBuffer()));
      }
      return recordsOf(files);
    } catch (thrown) {
      if (o.signal?.aborted) throw new GloraError("ABORTED", "Interrupted.", {}, thrown);
      const cause = thrown instanceof Error && thrown.cause ? ` (${messageOf(thrown.cause)})` : "";
      throw new GloraError(
        "DATA",
        `The ${split} split of ${task.name} cannot be fetched from ${endpoint}: ${messageOf(thrown)}${cause}. Where the hub cannot ` +
          `be reached, put its files (${endpoint}/datasets/${path}) into DIR/${path}${name === undefined ? "" : `/${name}`}/ as ` +
          `${split}.parquet or ${split}.jsonl and give --task-data DIR; HF_ENDPOINT names a mirror, HF_TOKEN a key.`,
        { task: task.name, split, endpoint },
        thrown,
      );
    }
  };
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
