/** Folders whose files are blobs: dropped on a page, fetched, or made in memory. */
import { GloraError, messageOf } from "../base/errors.js";
import { blobSource } from "./blob.js";
import type { Folder, WritableFolder } from "./folder.js";

/** Files by their paths relative to the folder, as a folder. */
export function filesFolder(name: string, files: ReadonlyMap<string, Blob>): Folder {
  return {
    name,
    list: async () => [...files.keys()].filter((file) => !file.includes("/")).sort(),
    open: async (file) => {
      const blob = files.get(file);
      return blob && blobSource(blob, `${name}/${file}`);
    },
  };
}

/** A folder that is filled in memory: what is written to it is put into `files`. */
export function writableFilesFolder(name: string, files: Map<string, Blob>): WritableFolder {
  return {
    ...filesFolder(name, files),
    write: async (file, content) => {
      const parts: BlobPart[] = [];
      if (typeof content === "string") parts.push(content);
      else if (content instanceof Uint8Array) parts.push(unshared(content));
      // Each piece becomes a blob at once, which a browser may keep outside of the page's memory.
      else for await (const piece of content) parts.push(new Blob([unshared(piece)]));
      files.set(file, new Blob(parts));
    },
    remove: async (file) => {
      files.delete(file);
    },
  };
}

/** No bytes here lie in memory that threads share, though their type leaves it open; a blob takes no others. */
const unshared = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>;

/**
 * Fetches the files of a folder.
 *
 *     const folder = await fetchFolder("models/vit-micro", ["config.json", "model.safetensors"]);
 *
 * @param url    of the folder, relative to the page or the worker
 * @param files  their paths relative to it: a server does not say which files it has
 * @throws {GloraError} FILE naming the address that cannot be had, ABORTED by `signal`
 */
export async function fetchFolder(
  url: string | URL,
  files: readonly string[],
  o: { readonly signal?: AbortSignal } = {},
): Promise<Folder> {
  const folder = `${url}`.replace(/\/+$/, "");
  const fetched = await Promise.all(
    files.map(async (file) => [file, await fetchBlob(`${folder}/${file}`, o)] as const),
  );
  return filesFolder(folder, new Map(fetched));
}

async function fetchBlob(url: string, o: RequestInit): Promise<Blob> {
  const fail = (problem: string, cause?: unknown): GloraError =>
    new GloraError("FILE", `${url}: cannot be fetched: ${problem}.`, { url }, cause);
  try {
    const response = await fetch(url, o);
    if (!response.ok) throw fail(`the server answered ${response.status} ${response.statusText}`.trim());
    return await response.blob();
  } catch (thrown) {
    if (thrown instanceof GloraError) throw thrown;
    if (o.signal?.aborted) throw new GloraError("ABORTED", "Interrupted.", { url }, thrown);
    throw fail(messageOf(thrown), thrown);
  }
}
