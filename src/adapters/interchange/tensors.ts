/** Tensors of other libraries' files, as float32 numbers. */

import { readBytes, readFloat32, type TensorEntry } from "../../formats/safetensors.js";
import { memorySource } from "../../formats/source.js";
import type { NamedTensor } from "../adapter-file.js";

/** A tensor in memory, as if it lay in a file. */
export function memoryEntry(file: string, { name, shape, values }: NamedTensor): TensorEntry {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, dtype: "F32", shape, source: memorySource(file, bytes), offset: 0, length: bytes.length };
}

/** A stored tensor under another name, its numbers multiplied by `factor` in float64 and rounded once. */
export async function scaled(entry: TensorEntry, name: string, factor = 1): Promise<NamedTensor> {
  const values = await readFloat32(entry);
  return { name, shape: entry.shape, values: factor === 1 ? values : values.map((value) => value * factor) };
}

/** The one number of a tensor; Python writes a whole one as I64. */
export async function readNumber(entry: TensorEntry): Promise<number> {
  if (entry.dtype !== "I64") return (await readFloat32(entry))[0] ?? 0;
  const bytes = await readBytes(entry);
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true));
}
