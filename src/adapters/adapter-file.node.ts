import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { GloraError } from "../base/errors.js";
import type { Folder } from "../formats/folder.js";
import { openFolder, writeFileAtomic, writeFolderAtomic } from "../formats/folder.node.js";
import { sha256Hex } from "../formats/sha256.node.js";
import {
  ADAPTER_MANIFEST,
  type Adapter,
  type AdapterBase,
  type AdapterFile,
  encodeAdapter,
  openAdapter,
} from "./adapter-file.js";

/**
 * Saves an adapter as a folder, whole or not at all.
 *
 * @param path  must not exist, or be an empty folder
 * @throws {GloraError} FILE if it cannot be written
 */
export const saveAdapter = (path: string, adapter: Adapter): Promise<void> =>
  writeFolderAtomic(path, async (temporary) => {
    for (const [file, bytes] of encodeAdapter(adapter)) await writeFileAtomic(join(temporary, file), bytes);
  });

/**
 * Opens an adapter by its path: a folder, or the .safetensors file of an adapter that is one file.
 *
 * @throws {GloraError} as {@link openAdapter}
 */
export async function openAdapterPath(path: string): Promise<AdapterFile> {
  const isFile = async (file: string) => (await stat(file).catch(() => undefined))?.isFile() ?? false;
  if (!path.endsWith(".safetensors") || !(await isFile(path))) {
    if (await isFile(join(path, "adapter", ADAPTER_MANIFEST)))
      throw new GloraError("FILE", `${path}: is a run; its adapter is ${join(path, "adapter")}.`, { folder: path });
    return openAdapter(await openFolder(path));
  }
  const folder = await openFolder(dirname(path));
  const name = basename(path);
  return openAdapter({
    name: path,
    list: async () => [name],
    open: async (file) => (file === name ? folder.open(file) : undefined),
  });
}

/** What an adapter records of its base: the hashes of the model's weight files. */
export async function describeBase(name: string, folder: Folder, files: readonly string[]): Promise<AdapterBase> {
  const sha256: Record<string, string> = {};
  for (const file of files) {
    const source = await folder.open(file);
    if (!source) throw new GloraError("FILE", `${folder.name}: has no ${file}.`, { folder: folder.name, file });
    sha256[file] = await sha256Hex(source);
  }
  return { name, sha256 };
}

/**
 * Compares the weight files of a model with the hashes that an adapter recorded.
 *
 * @throws {GloraError} ADAPTER if a file differs or is missing, or the adapter recorded no hash
 */
export async function verifyBase(base: AdapterBase | undefined, folder: Folder): Promise<void> {
  const expected = Object.entries(base?.sha256 ?? {});
  if (expected.length === 0) {
    throw new GloraError("ADAPTER", "The adapter records no hashes of its base, so that it cannot be verified.");
  }
  const different: string[] = [];
  for (const [file, hash] of expected) {
    const source = await folder.open(file);
    const found = source ? await sha256Hex(source) : "missing";
    if (found !== hash) different.push(`${file}: expected ${hash}, found ${found}`);
  }
  if (different.length === 0) return;
  throw new GloraError(
    "ADAPTER",
    `${folder.name} is not the model that the adapter was trained on ("${base?.name}"): SHA-256 of ` +
      `${different.join("; ")}. Load that model, or leave out the verification if you know better.`,
    { folder: folder.name, different },
  );
}
