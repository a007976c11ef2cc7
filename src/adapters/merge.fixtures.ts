/** Small base models with adapters on them, from files that scripts/fixtures/merge.py wrote and explains. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Tensor } from "../base/tensor.js";
import { openFile } from "../formats/file.node.js";
import { openFolder } from "../formats/folder.node.js";
import { readFloat32, readSafetensors } from "../formats/safetensors.js";
import type { Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { AdaptedModel } from "./adapted-model.js";
import { openAdapter } from "./adapter-file.js";
import { attachAdapter } from "./attach.js";

export type Library = "timm" | "transformers";

const fixtures = new URL("../../test/fixtures/merge/", import.meta.url).pathname;

export const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

/** A folder that goes away with the tests. */
export const scratch = await mkdtemp(join(tmpdir(), "glora-merge-"));
afterAll(() => rm(scratch, { recursive: true }));

export const baseFolder = (library: Library): string => join(fixtures, library);

export const openBase = (path: string): Promise<Model> => openModel(path, { runtime });

/** The fixture's adapter on its own base, or on another. */
export async function adapted(library: Library, base?: Model): Promise<AdaptedModel> {
  const file = await openAdapter(await openFolder(join(fixtures, library, "adapter")));
  return attachAdapter(base ?? (await openBase(baseFolder(library))), file);
}

/** Three images, and the logits of the adapted model by PyTorch. */
export async function expected(library: Library): Promise<{ inputs: Record<string, Tensor>; logits: Float32Array }> {
  const { tensors } = await readSafetensors(await openFile(join(fixtures, library, "adapter", "expected.safetensors")));
  const data = await readFloat32(tensors.get("pixel_values")!);
  const pixels: Tensor = { dtype: "float32", shape: tensors.get("pixel_values")!.shape, data };
  return { inputs: { pixel_values: pixels }, logits: await readFloat32(tensors.get("logits")!) };
}

export const readJsonFile = async (...path: string[]) => JSON.parse(await readFile(join(...path), "utf8"));
