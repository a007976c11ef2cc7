import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openCheckpoint, withoutTensors } from "./checkpoint.js";
import type { Folder } from "./folder.js";
import { readBytes, readFloat32, readSafetensors } from "./safetensors.js";
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
    const { tensors, notes } = await openCheckpoint(folder({ ...files, [INDEX]: index({ a: shard }) }));
    const other = shard === "1.safetensors" ? "2.safetensors" : "1.safetensors";
    expect(notes).toEqual([`vit: these tensors are not used: a in ${other}.`]);
    expect(tensors.get("a")!.source.name).toBe(`vit/${shard}`);
    expect(String.fromCharCode(...(await readBytes(tensors.get("a")!)))).toBe("a");
  }
  await expect(openCheckpoint(folder({ ...files, [INDEX]: index({}) }))).rejects.toThrow(
    `vit: two shards hold "a", and ${INDEX} names none.`,
  );
});

// Written by torch.save and numpy.savez: scripts/fixtures/weight-files.py.
const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/fixtures/weight-files/${name}`));

test("PyTorch's own shards", async () => {
  const shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
  const index = "pytorch_model.bin.index.json";
  const files = Object.fromEntries([...shards, index].map((name) => [name, fixture(`timm/${name}`)]));
  const checkpoint = await openCheckpoint(folder(files));
  expect([checkpoint.files, checkpoint.index]).toEqual([shards, index]);
  expect(checkpoint.tensors.get("cls_token")).toMatchObject({ dtype: "F32", shape: [1, 1, 6] });
  expect(checkpoint.tensors.get("head.bias")!.source.name).toBe(`vit/${shards[1]}`);
  expect(checkpoint.tensors.size).toBe(32);
});

test("tensors of float64 are rounded to float32 when they are asked for, which a note says", async () => {
  const expected = await readSafetensors(memorySource("x", fixture("expected.safetensors")));
  const doubles = async (name: string) =>
    Float32Array.from(new Float64Array(new Uint8Array(await readBytes(expected.tensors.get(name)!)).buffer));
  for (const [file, content] of Object.entries({ "w.pth": "plain.pth", "w.safetensors": "expected.safetensors" })) {
    const { tensors, notes } = await openCheckpoint(folder({ [file]: fixture(content) }));
    expect(notes).toEqual([`vit/${file}: 2 tensors are stored as float64 and rounded to float32.`]);
    for (const name of ["float64", "float64_transposed"]) {
      const { shape } = expected.tensors.get(name)!;
      expect(tensors.get(name)).toMatchObject({ dtype: "F32", shape, source: { name: `vit/${file}` } });
      expect(await readFloat32(tensors.get(name)!)).toEqual(await doubles(name));
    }
    expect(tensors.get("int64")!.dtype).toBe("I64");
  }
  const { tensors, notes } = await openCheckpoint(folder({ "arrays.npz": fixture("arrays.npz") }));
  expect(notes).toEqual(["vit/arrays.npz: 1 tensor is stored as float64 and rounded to float32."]);
  expect(await readFloat32(tensors.get("double")!)).toEqual(Float32Array.of(0, 1, 2));
});

test("notes name the first tensors that are not used, count the others, and say why", async () => {
  const checkpoint = await openCheckpoint(folder({ "model.safetensors": weights("a") }));
  expect(checkpoint.notes).toEqual([]);
  expect(withoutTensors(checkpoint, "vit", [])).toBe(checkpoint);
  const once = withoutTensors(checkpoint, "vit", ["b"], "It is old.");
  expect(withoutTensors(once, "vit", ["a", "b", "c", "d", "e", "f"]).notes).toEqual([
    "vit: these tensors are not used: b. It is old.",
    "vit: these tensors are not used: a, b, c, d and 2 more.",
  ]);
});

test("a file of the name that libraries give goes before others, else the only one is taken", async () => {
  const opened = async (files: Record<string, Uint8Array>) => (await openCheckpoint(folder(files))).files;
  const other = { "a.pth": fixture("plain.pth"), "arrays.npz": fixture("arrays.npz") };
  const bin = { "pytorch_model.bin": fixture("plain.pth") };
  expect(await opened({ ...other, ...bin, "model.safetensors": weights("a") })).toEqual(["model.safetensors"]);
  expect(await opened({ ...other, ...bin })).toEqual(["pytorch_model.bin"]);
  expect(await opened({ "README.md": weights(), "arrays.npz": fixture("arrays.npz") })).toEqual(["arrays.npz"]);
  expect(await opened({ "b.pt": fixture("parallel.pt") })).toEqual(["b.pt"]);
  expect(await opened({ "weights.safetensors": weights("a") })).toEqual(["weights.safetensors"]);
});

test.each<[string, Record<string, Uint8Array | object>, string]>([
  [
    "an empty folder",
    { "config.json": {} },
    "vit: has no model.safetensors and no other file of weights (.safetensors, .bin, .pth, .pt, .npz).",
  ],
  [
    "weights of other libraries",
    { "flax_model.msgpack": {}, "tf_model.h5": {} },
    "Found flax_model.msgpack, tf_model.h5: convert them in Python, with model.save_pretrained(folder) of transformers or " +
      'safetensors.torch.save_file(state_dict, "model.safetensors").',
  ],
  [
    "several files of weights",
    { "a.safetensors": weights("a"), "b.pth": weights("a"), "c.npz": weights("a") },
    "vit: holds 3 files of weights, a.safetensors, b.pth, c.npz, and none is called model.safetensors. Give the path of the " +
      "one that is meant in place of the folder's.",
  ],
  [
    "a .bin that is something else",
    { "pytorch_model.bin": weights("a") },
    "vit/pytorch_model.bin: cannot be read as PyTorch's",
  ],
  [
    "a shard of another kind",
    { [INDEX]: { weight_map: { a: "1.bin" } } },
    `vit/${INDEX}: "1.bin" is not the name of a .safetensors file in the same folder.`,
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
