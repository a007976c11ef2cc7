import { type ByteSource, checkRange } from "./source.js";

/** A browser's Blob or File as a source: ranges are read when asked for, never the whole. */
export function blobSource(blob: Blob, name: string): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (offset, length) => {
      checkRange(name, blob.size, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}
