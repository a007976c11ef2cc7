import { expect, test } from "vitest";
import { fromFloat32 } from "../formats/float.js";
import type { Folder } from "../formats/folder.js";
import { encodeSafetensors } from "../formats/safetensors-writer.js";
import { memorySource } from "../formats/source.js";
import { openModel } from "../models/open.node.js";
import { adaptedFromFile } from "./adapted-from-file.js";
import { openAdapter } from "./adapter-file.js";

/** timm's ViT of width 8 with a head of 3 classes, no label names. */
const model = await openModel("test/fixtures/run/timm-elementwise");

/** An adapter of a scalar B on one layer, with a head of these outputs. */
async function adapter(o: { outputs?: number; labels?: readonly string[] }) {
  const tensor = (name: string, shape: readonly number[], value: number) => {
    const data = fromFloat32(new Float32Array(shape.reduce((x, y) => x * y, 1)).fill(value), "F32");
    return { name, shape, dtype: "F32" as const, data };
  };
  const tensors = [tensor("blocks.1.mlp.fc1.B.X", [1], 5)];
  if (o.outputs) tensors.push(tensor("head.weight", [o.outputs, 8], 6), tensor("head.bias", [o.outputs], 7));
  const layers = { "blocks.1.mlp.fc1": { B: "scalar" } };
  const manifest = { format: "glora-adapter", version: 1, layers, ...(o.labels && { labels: o.labels }) };
  const files: Record<string, Uint8Array> = {
    "adapter.safetensors": encodeSafetensors(tensors),
    "adapter.json": new TextEncoder().encode(JSON.stringify(manifest)),
  };
  const folder: Folder = {
    name: "flowers",
    list: async () => Object.keys(files),
    open: async (file) => files[file] && memorySource(file, files[file]),
  };
  return openAdapter(folder);
}

test("an adapter's own head replaces the model's, with its labels or with numbered ones", async () => {
  const named = await adaptedFromFile(model, await adapter({ outputs: 2, labels: ["rose", "tulip"] }));
  expect(named.model.labels).toEqual(["rose", "tulip"]);
  expect(named.model.head).toMatchObject({ name: "head", in: 8, out: 2, pretrained: false });
  expect([...named.parameters]).toEqual([5, ...Array(16).fill(6), 7, 7]);
  expect(named.tensors.map(({ name, offset, length }) => [name, offset, length])).toEqual([
    ["blocks.1.mlp.fc1.B.X", 0, 1],
    ["head.weight", 1, 16],
    ["head.bias", 17, 2],
  ]);
  const unnamed = await adaptedFromFile(model, await adapter({ outputs: 2 }));
  expect(unnamed.model.labels).toEqual(["LABEL_0", "LABEL_1"]);
});

test("without a head of its own it uses the model's, whatever labels it names", async () => {
  const adapted = await adaptedFromFile(model, await adapter({ labels: ["rose", "tulip"] }));
  expect(adapted.model).toBe(model);
  const head = adapted.parameters.subarray(adapted.headOffset);
  expect(head).toHaveLength(3 * 9);
  expect(head.every((value) => value !== 0)).toBe(true);
});

test("a head that does not fit its labels is refused, and so is a new head that nothing trained", async () => {
  await expect(adaptedFromFile(model, await adapter({ outputs: 2, labels: ["rose"] }))).rejects.toThrow(
    "The head's head.weight does not fit: expected head.weight of shape [1, 8], found [2, 8].",
  );
  const fresh = model.withHead(["rose", "tulip"]);
  await expect(adaptedFromFile(fresh, await adapter({}))).rejects.toThrow(
    /^flowers brings no head, and the head of .* is new: nothing trained it\.$/,
  );
});
