/** A run's folder on disk. */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { GloraError, messageOf } from "../base/errors.js";
import { writeFileAtomic } from "../formats/folder.node.js";
import type { RunStore } from "./store.js";

/**
 * A store in a folder, which is made when something is first written. Files are written beside their place, then renamed.
 * @throws {GloraError} FILE from its calls, naming the file
 */
export function folderStore(path: string): RunStore {
  const fail = (file: string, thrown: unknown): never => {
    throw new GloraError("FILE", `${join(path, file)}: ${messageOf(thrown)}`, { file: join(path, file) }, thrown);
  };
  return {
    folder: path,
    read: (name) =>
      readFile(join(path, name)).catch((thrown: NodeJS.ErrnoException) =>
        thrown.code === "ENOENT" ? undefined : fail(name, thrown),
      ),
    async write(name, data) {
      await mkdir(path, { recursive: true }).catch((thrown) => fail(name, thrown));
      await writeFileAtomic(join(path, name), data);
    },
    async append(name, text) {
      await mkdir(path, { recursive: true }).catch((thrown) => fail(name, thrown));
      await appendFile(join(path, name), text).catch((thrown) => fail(name, thrown));
    },
  };
}
