import { open, realpath, stat } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { GloraError, messageOf } from "../base/errors.js";
import { type ByteSource, checkRange } from "./source.js";

/** One read() call of Linux moves at most 2 GiB less a page. */
const LARGEST_READ = 2 ** 30;

/**
 * A local file as a source. The file is opened for each read, so that nothing has to be closed.
 * @param name for messages; the path unless said
 * @throws {GloraError} "FILE" if there is no such file
 */
export async function openFile(path: string, name: string = path): Promise<ByteSource> {
  const fail = (thrown: unknown): never => {
    throw new GloraError("FILE", `${name}: cannot be read: ${messageOf(thrown)}`, { file: name }, thrown);
  };
  const real = await realpath(path).catch(fail);
  const info = await stat(real).catch(fail);
  if (!info.isFile()) throw new GloraError("FILE", `${name}: not a file.`, { file: name });
  return {
    name,
    size: info.size,
    path: real,
    crc32,
    read: async (offset, length) => {
      checkRange(name, info.size, offset, length);
      const bytes = new Uint8Array(length);
      const file = await open(real).catch(fail);
      try {
        for (let done = 0; done < length; ) {
          const { bytesRead } = await file
            .read(bytes, done, Math.min(length - done, LARGEST_READ), offset + done)
            .catch(fail);
          if (bytesRead === 0) checkRange(name, offset + done, offset, length); // shortened since it was opened
          done += bytesRead;
        }
      } finally {
        await file.close();
      }
      return bytes;
    },
  };
}
