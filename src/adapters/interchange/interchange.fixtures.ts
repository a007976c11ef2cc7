/** Adapters that PEFT and LyCORIS wrote, from files that scripts/fixtures/interchange.py wrote and explains. */
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Tensor } from "../../base/tensor.js";
import { openFile } from "../../formats/file.node.js";
import type { Folder } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import { readBytes, readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { encodeSafetensors } from "../../formats/safetensors-writer.js";
import { memorySource } from "../../formats/source.js";
import type { Model } from "../../models/model.js";
import { openModel } from "../../models/open.node.js";
import { createNodeRuntime } from "../../runtime/node/node-runtime.node.js";

export const fixtures = new URL("../../../test/fixtures/interchange/", import.meta.url).pathname;

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

/** "vit", "llama", or another base's path. */
export const openBase = (base: string): Promise<Model> => openModel(join(fixtures, base), { runtime });

export const openCase = (name: string): Promise<Folder> => openFolder(join(fixtures, name));

/** Inputs, and the logits of the adapted model by the library that wrote the adapter. */
export async function expected(name: string): Promise<{ inputs: Record<string, Tensor>; logits: Float32Array }> {
  const { tensors } = await readSafetensors(await openFile(join(fixtures, name, "expected.safetensors")));
  const inputs: Record<string, Tensor> = {};
  for (const entry of tensors.values()) {
    const { buffer } = new Uint8Array(await readBytes(entry));
    if (entry.dtype === "I64")
      inputs[entry.name] = { dtype: "int64", shape: entry.shape, data: new BigInt64Array(buffer) };
    else if (entry.name !== "logits")
      inputs[entry.name] = { dtype: "float32", shape: entry.shape, data: new Float32Array(buffer) };
  }
  return { inputs, logits: await readFloat32(tensors.get("logits")!) };
}

/** A folder in memory: JSON files, and .safetensors files of F32 tensors, each a shape filled with one number. */
export function memoryFolder(files: Readonly<Record<string, unknown>>): Folder {
  const bytes = new Map(
    Object.entries(files).map(([name, content]): [string, Uint8Array] => {
      if (content instanceof Uint8Array) return [name, content];
      if (!name.endsWith(".safetensors")) return [name, new TextEncoder().encode(JSON.stringify(content))];
      const tensors = Object.entries(content as Record<string, readonly number[]>).map(([tensor, shape]) => ({
        name: tensor,
        shape,
        dtype: "F32" as const,
        data: new Uint8Array(new Float32Array(shape.reduce((a, n) => a * n, 1)).fill(0.5).buffer),
      }));
      return [name, encodeSafetensors(tensors)];
    }),
  );
  return {
    name: "given",
    list: async () => [...bytes.keys()].sort(),
    open: async (file) => {
      const found = bytes.get(file);
      return found && memorySource(`given/${file}`, found);
    },
  };
}
