import { open } from "node:fs/promises";
import { replaceFile } from "./folder.node.js";
import type { TensorEntry } from "./safetensors.js";
import { checkLength, layoutSafetensors, type TensorSpec } from "./safetensors-writer.js";

/** A tensor to be written: its bytes, a function that makes them when their turn comes, or a tensor to copy from a file. */
export interface TensorToWrite extends TensorSpec {
  readonly data: Uint8Array | TensorEntry | (() => Promise<Uint8Array>);
}

/** Bytes copied at a time. */
const CHUNK = 2 ** 24;

/**
 * Writes a .safetensors file, whole or not at all, one tensor after the other: a file far larger than the memory can be
 * written. Byte for byte what `encodeSafetensors` returns.
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const layout = layoutSafetensors(tensors, metadata);
  return replaceFile(path, async (temporary) => {
    const file = await open(temporary, "w");
    try {
      await file.writeFile(layout.header);
      for (const { tensor, length } of layout.tensors) {
        for await (const bytes of chunks(tensor, length)) await file.writeFile(bytes);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  });
}

async function* chunks(tensor: TensorToWrite, length: number): AsyncGenerator<Uint8Array> {
  const { data } = tensor;
  if (data instanceof Uint8Array || typeof data === "function") {
    const bytes = typeof data === "function" ? await data() : data;
    checkLength(tensor, bytes.length, length);
    yield bytes;
    return;
  }
  checkLength(tensor, data.length, length);
  for (let done = 0; done < length; done += CHUNK) {
    yield data.source.read(data.offset + done, Math.min(CHUNK, length - done));
  }
}
