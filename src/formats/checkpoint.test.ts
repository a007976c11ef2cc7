import { expect, test } from "vitest";
import { openCheckpoint } from "./checkpoint.js";
import type { Folder } from "./folder.js";
import { readBytes } from "./safetensors.js";
import { encodeSafetensors } from "./safetensors-writer.js";
import { memorySource } from "./source.js";

const weights = (...names: string[]): Uint8Array =>
  encodeSafetensors(names.map((name) => ({ name, dtype: "U8", shape: [1], data: new TextEncoder().encode(name[0]!) })));

function folder(files: Record<string, Uint8Array | object>): Folder {
  const bytes = (content: Uint8Array | object): Uint8Array =>
    content instanceof Uint8Array ? content : new TextEncoder().encode(JSON.stringify(content));
  return {
    name: "vit",
    list: async () => Object.keys(files),
    open: async (file) => (file in files ? memorySource(`vit/${file}`, bytes(files[file]!)) : undefined),
  };
}

const INDEX = "model.safetensors.index.json";
const shards = { "1.safetensors": weights("a", "b"), "2.safetensors": weights("c") };

test("one file", async () => {
  const { tensors, files } = await openCheckpoint(folder({ "model.safetensors": weights("a", "b") }));
  expect([[...tensors.keys()], files]).toEqual([["a", "b"], ["model.safetensors"]]);
});

test("shards, with an index that carries other things too", async () => {
  const checkpoint = await openCheckpoint(
    folder({
      ...shards,
      [INDEX]: {
        metadata: { total_size: "3", more: [1] },
        weight_map: { c: "2.safetensors", a: "1.safetensors", odd: null },
      },
    }),
  );
  expect(checkpoint.files).toEqual(["1.safetensors", "2.safetensors"]);
  expect([...checkpoint.tensors.keys()]).toEqual(["a", "b", "c"]); // b is in a shard, though not in the map
  expect(checkpoint.tensors.get("c")!.source.name).toBe("vit/2.safetensors");
});

test("a name in two shards is taken from the one that the index says", async () => {
  const files = { "1.safetensors": weights("a", "b"), "2.safetensors": weights("a", "c") };
  const index = (map: object) => ({ weight_map: { b: "1.safetensors", c: "2.safetensors", ...map } });
  for (const shard of ["1.safetensors", "2.safetensors"]) {
    const { tensors } = await openCheckpoint(folder({ ...files, [INDEX]: index({ a: shard }) }));
    expect(tensors.get("a")!.source.name).toBe(`vit/${shard}`);
    expect(String.fromCharCode(...(await readBytes(tensors.get("a")!)))).toBe("a");
  }
  await expect(openCheckpoint(folder({ ...files, [INDEX]: index({}) }))).rejects.toThrow(
    `vit: two shards hold "a", and ${INDEX} names none.`,
  );
});

test.each<[string, Record<string, Uint8Array | object>, string]>([
  ["an empty folder", { "config.json": {} }, `vit: has no model.safetensors and no ${INDEX}.`],
  [
    "weights of PyTorch",
    { "pytorch_model.bin": weights() },
    `vit: has no model.safetensors and no ${INDEX}. Found pytorch_model.bin: convert them in Python, with model.save_pretrained(folder) of transformers or safetensors.torch.save_file(state_dict, "model.safetensors").`,
  ],
  ["JAX weights", { "ViT-B_16.npz": weights() }, "Found ViT-B_16.npz: convert them in Python"],
  [
    "another name",
    { "weights.safetensors": weights() },
    "Found weights.safetensors: rename the weights to model.safetensors.",
  ],
  ["no map", { [INDEX]: { weight_map: [] } }, `vit/${INDEX}: has no weight_map from tensor names to file names.`],
  ["an index that is no object", { [INDEX]: [1] }, "has no weight_map"],
  [
    "a path that leaves the folder",
    { [INDEX]: { weight_map: { a: "../1.safetensors" } } },
    `vit/${INDEX}: "../1.safetensors" is not the name of a .safetensors file in the same folder.`,
  ],
  ["an absolute path", { [INDEX]: { weight_map: { a: "/1.safetensors" } } }, '"/1.safetensors" is not the name'],
  [
    "a missing shard",
    { ...shards, [INDEX]: { weight_map: { a: "1.safetensors", z: "3.safetensors" } } },
    `vit: ${INDEX} names 3.safetensors, which is missing. Fetch it too.`,
  ],
  [
    "a shard that lacks its tensor",
    { ...shards, [INDEX]: { weight_map: { a: "1.safetensors", c: "1.safetensors" } } },
    `vit: ${INDEX} names 1 tensor(s) that their file lacks: "c" in 1.safetensors.`,
  ],
  [
    "a broken shard",
    { "1.safetensors": {}, [INDEX]: { weight_map: { a: "1.safetensors" } } },
    "vit/1.safetensors: not a valid",
  ],
])("refused: %s", async (_what, files, text) => {
  await expect(openCheckpoint(folder(files))).rejects.toMatchObject({
    code: "FILE",
    message: expect.stringContaining(text),
  });
});
