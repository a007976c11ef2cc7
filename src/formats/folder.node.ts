import { mkdir, open, readdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, normalize, resolve, sep } from "node:path";
import { GloraError, messageOf } from "../base/errors.js";
import { openFile } from "./file.node.js";
import type { Folder, WritableFolder } from "./folder.js";

/**
 * A local folder. Symbolic links are followed: a Hugging Face cache is made of them.
 * @throws {GloraError} "FILE" if there is no such folder
 */
export async function openFolder(path: string): Promise<Folder> {
  const info = await stat(path).catch((thrown: unknown) => {
    throw new GloraError("FILE", `${path}: no such folder (${messageOf(thrown)}).`, { folder: path }, thrown);
  });
  if (!info.isDirectory()) {
    throw new GloraError("FILE", `${path}: is a file; a folder is expected.`, { folder: path });
  }
  const isFile = async (file: string): Promise<boolean> =>
    stat(join(path, file)).then(
      (found) => found.isFile(),
      () => false,
    );
  return {
    name: path,
    path: await realpath(path),
    list: async () => {
      const names = await readdir(path);
      const files = await Promise.all(names.map(isFile));
      return names.filter((_, i) => files[i]).sort();
    },
    open: async (file) => {
      if (isAbsolute(file) || /^\.\.([/\\]|$)/.test(normalize(file))) {
        throw new GloraError("FILE", `${path}: ${JSON.stringify(file)} lies outside the folder.`, {
          folder: path,
          file,
        });
      }
      return (await isFile(file)) ? openFile(join(path, file)) : undefined;
    },
  };
}

/**
 * A local folder to write to.
 * @throws {GloraError} "FILE" if there is no such folder
 */
export async function openWritableFolder(path: string): Promise<WritableFolder> {
  return {
    ...(await openFolder(path)),
    write: async (file, content) => {
      await mkdir(dirname(join(path, file)), { recursive: true });
      await writeFileAtomic(join(path, file), content);
    },
    remove: (file) => rm(join(path, file), { force: true }),
  };
}

/**
 * What lies in a folder that is to be written; nothing where there is none yet.
 * @throws {GloraError} FILE if a file is in its place, or it cannot be read
 */
export async function contentOf(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    if (code !== "ENOTDIR") throw asFileError(thrown, path);
    throw new GloraError("FILE", `${path}: is a file, or lies in one; a folder is expected.`, { folder: path }, thrown);
  }
}

/** Whether a path, of a file or folder that need not be there yet, is a folder or lies in it; symbolic links are followed. */
export async function liesIn(path: string, folder: string): Promise<boolean> {
  return `${await realTarget(path)}${sep}`.startsWith(`${await realTarget(folder)}${sep}`);
}

/** The path without symbolic links, also of a folder that is not there yet. */
export async function realTarget(path: string): Promise<string> {
  const whole = resolve(path);
  return realpath(whole).catch(async () => {
    const parent = dirname(whole);
    return parent === whole ? whole : join(await realTarget(parent), basename(whole));
  });
}

/** Writes a file whole or not at all: beside its place, then renamed. Pieces are written as they come. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = besides(path);
  try {
    const file = await open(temporary, "w");
    try {
      await writeFile(file, data);
      await file.sync(); // or the name could outlive the bytes after a power cut
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw asFileError(thrown, path);
  }
}

/**
 * Lets `fill` make a folder beside `path`, and moves it there only when that has ended well; nothing is left behind
 * otherwise. `path` must not exist, or be an empty folder.
 */
export async function writeFolderAtomic(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  if ((await contentOf(path)).length > 0) {
    throw new GloraError("FILE", `${path}: is not empty. Choose another name, or remove it first.`, { folder: path });
  }
  const temporary = besides(path);
  // The first of the folders that had to be made: a parent of `path`, or the temporary one itself.
  let made: string | undefined;
  try {
    made = await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await rename(temporary, path);
  } catch (thrown) {
    await rm(made ?? temporary, { recursive: true, force: true });
    throw asFileError(thrown, path);
  }
}

let count = 0;

/** Removes what a killed process left of its writing to `path`. Only for a path that nobody else is writing to. */
export async function removePartial(path: string): Promise<void> {
  const whole = resolve(path);
  const partial = `.${basename(whole)}.partial-`;
  const names = await readdir(dirname(whole)).catch(() => []);
  for (const name of names.filter((name) => name.startsWith(partial)))
    await rm(join(dirname(whole), name), { recursive: true, force: true });
}

/** A name in the same folder, so that renaming it moves no bytes; no two writers share it. */
function besides(path: string): string {
  const whole = resolve(path);
  return join(dirname(whole), `.${basename(whole)}.partial-${process.pid}-${count++}`);
}

const asFileError = (thrown: unknown, path: string): unknown =>
  thrown instanceof Error && "code" in thrown && "syscall" in thrown
    ? new GloraError("FILE", `${path}: cannot be written: ${thrown.message}`, { file: path }, thrown)
    : thrown;
