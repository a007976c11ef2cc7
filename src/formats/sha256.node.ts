import { createHash } from "node:crypto";
import type { ByteSource } from "./source.js";

/** Bytes hashed at a time. */
const CHUNK = 2 ** 24;

/** SHA-256 of a file of any size, in lower-case hexadecimal. In Node only: WebCrypto cannot hash piece by piece. */
export async function sha256Hex(source: ByteSource): Promise<string> {
  const hash = createHash("sha256");
  for (let done = 0; done < source.size; done += CHUNK) {
    hash.update(await source.read(done, Math.min(CHUNK, source.size - done)));
  }
  return hash.digest("hex");
}
