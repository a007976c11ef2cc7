import { writeFileAtomic } from "./folder.node.js";
import { layoutSafetensors, safetensorsChunks, type TensorToWrite } from "./safetensors-writer.js";

/**
 * Writes a .safetensors file, whole or not at all, one tensor after the other: a file far larger than the memory can be
 * written. Byte for byte what `encodeSafetensors` returns.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  await writeFileAtomic(path, safetensorsChunks(layoutSafetensors(tensors, metadata)));
}
