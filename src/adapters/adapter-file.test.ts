import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GloraError } from "../base/errors.js";
import { fromFloat32 } from "../base/float.js";
import { rngStream } from "../base/rng.js";
import type { Folder } from "../formats/folder.js";
import { openFolder } from "../formats/folder.node.js";
import { encodeSafetensors } from "../formats/safetensors-writer.js";
import { memorySource } from "../formats/source.js";
import { type Adapter, encodeAdapter, loadAdapter, openAdapter } from "./adapter-file.js";
import { describeBase, openAdapterPath, saveAdapter, verifyBase } from "./adapter-file.node.js";
import { fixedTable } from "./parameters.js";
import { allStructures, layerShape, nameOf } from "./reference.fixtures.js";
import { type Genome, NO_CHANGE } from "./structure.js";

const layers = [layerShape("blocks.0.qkv", 6, 4), layerShape("blocks.0.proj", 4, 4, false)];
const head = [
  { name: "head.weight", shape: [3, 4] },
  { name: "head.bias", shape: [3] },
];

/** A folder in memory. */
const memoryFolder = (files: Record<string, Uint8Array | string>): Folder => ({
  name: "flowers",
  list: async () => Object.keys(files).sort(),
  open: async (file) => {
    const content = files[file];
    if (content === undefined) return undefined;
    return memorySource(file, typeof content === "string" ? new TextEncoder().encode(content) : content);
  },
});

type Tensors = Record<string, readonly number[]>;

/** A file of tensors of these shapes, all of this value. */
const tensorFile = (tensors: Tensors, value = 1): Uint8Array =>
  encodeSafetensors(
    Object.entries(tensors).map(([name, shape]) => {
      const data = fromFloat32(new Float32Array(shape.reduce((x, y) => x * y, 1)).fill(value), "F32");
      return { name, shape, dtype: "F32" as const, data };
    }),
  );

const manifest = (fields: object = {}): string =>
  JSON.stringify({ format: "glora-adapter", version: 1, a: "elementwise", layers: {}, ...fields });

const load = async (fields: object, tensors: Tensors = {}, value = 1): Promise<Adapter> => {
  const folder = memoryFolder({
    "adapter.json": manifest(fields),
    "adapter.safetensors": tensorFile(tensors, value),
  });
  return loadAdapter(await openAdapter(folder), layers, head);
};

const refusal = async (promise: Promise<unknown>): Promise<GloraError> => {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof GloraError)) throw new Error(`expected a GloraError, got ${thrown}`);
  return thrown;
};

test.each(["elementwise", "product"] as const)("every structure comes back as it was written (%s)", async (a) => {
  const rng = rngStream(1, "values");
  for (const structure of allStructures(a, 2)) {
    const genome: Genome = new Map(layers.map(({ name }) => [name, structure]));
    const table = fixedTable(genome, layers, a);
    const values = Float32Array.from({ length: table.size }, () => rng.normal());
    const files = encodeAdapter({ a, genome, table, values, head: [] });
    const read = await loadAdapter(await openAdapter(memoryFolder(Object.fromEntries(files))), layers, head);
    const present = nameOf(structure) === nameOf(NO_CHANGE) ? [] : [...genome];
    expect([...read.genome], nameOf(structure)).toEqual(present);
    expect(read.values).toEqual(values);
    expect(read.table.tensors).toEqual(table.tensors);
  }
});

test("names and shapes are those of the format, whatever wrote them", async () => {
  const written = {
    "blocks.0.qkv": { A: "lora_3", B: "vector", C: "lora_1", D: "scalar", E: "vector" },
    "blocks.0.proj": { B: "scalar", C: "vector", D: "vector", E: "none" },
  };
  const tensors = {
    "blocks.0.qkv.A.Xd": [6, 3],
    "blocks.0.qkv.A.Xu": [3, 4],
    "blocks.0.qkv.B.X": [6, 1],
    "blocks.0.qkv.C.Xd": [4, 1],
    "blocks.0.qkv.C.Xu": [1, 1],
    "blocks.0.qkv.D.X": [1],
    "blocks.0.qkv.E.X": [6],
    "blocks.0.proj.B.X": [1],
    "blocks.0.proj.C.X": [4, 1],
    "blocks.0.proj.D.X": [4],
    "head.weight": [3, 4],
    "head.bias": [3],
  };
  const adapter = await load({ a: undefined, layers: written, labels: ["x", "y", "z"] }, tensors);
  expect(adapter.a).toBe("elementwise");
  expect(adapter.labels).toEqual(["x", "y", "z"]);
  expect(adapter.genome.get("blocks.0.proj")).toEqual({ A: "none", B: "scalar", C: "vector", D: "vector", E: "none" });
  expect(adapter.head.map(({ name, shape }) => ({ name, shape }))).toEqual(head);
  expect(adapter.values.every((value) => value === 1)).toBe(true);
  expect(adapter.base).toBeUndefined();
});

test("a product A has its own shapes", async () => {
  const tensors = { "blocks.0.qkv.A.Xd": [4, 2], "blocks.0.qkv.A.Xu": [2, 4] };
  const adapter = await load({ a: "product", layers: { "blocks.0.qkv": { A: "lora_2" } } }, tensors);
  expect(adapter.values).toHaveLength(16);
  const wrong = await refusal(load({ a: "product", layers: { "blocks.0.qkv": { A: "vector" } } }));
  expect(wrong.message).toContain('layers.blocks.0.qkv.A: one of lora_<rank>, none is expected, not "vector"');
});

test("all that does not fit is told at once: layer, support, expected and found shape", async () => {
  const written = {
    "blocks.0.qkv": { A: "lora_3", C: "vector", E: "vector" },
    "blocks.7.qkv": { A: "scalar" },
  };
  const tensors = {
    "blocks.0.qkv.A.Xd": [6, 2],
    "blocks.0.qkv.A.Xu": [3, 4],
    "blocks.0.qkv.C.X": [4],
    "blocks.0.qkv.B.X": [1],
    "blocks.7.qkv.A.X": [1],
    "blocks.0.proj.E.X": [4],
    "head.weight": [5, 4],
    "norm.weight": [4],
  };
  const { code, message, details } = await refusal(load({ layers: written, base: { name: "vit-b" } }, tensors));
  expect(code).toBe("ADAPTER");
  expect(message.split("\n")).toEqual([
    "The adapter flowers does not fit this model:",
    '  Layer "blocks.7.qkv" is not among the model\'s 2 linear layers.',
    '  Support A of "blocks.0.qkv" (lora_3) does not fit: expected blocks.0.qkv.A.Xd of shape [6, 3], found [6, 2].',
    '  Support C of "blocks.0.qkv" (vector) does not fit: expected blocks.0.qkv.C.X of shape [4, 1], found [4].',
    '  Support E of "blocks.0.qkv" (vector) does not fit: expected blocks.0.qkv.E.X of shape [6], found none.',
    "  The head's head.weight does not fit: expected head.weight of shape [3, 4], found [5, 4].",
    "  The head's head.bias does not fit: expected head.bias of shape [3], found none.",
    expect.stringMatching(/^ {2}(Support|Tensor)/),
    expect.stringMatching(/^ {2}(Support|Tensor)/),
    expect.stringMatching(/^ {2}(Support|Tensor)/),
    'Load the model that it was trained on ("vit-b"), or train an adapter on this one.',
  ]);
  expect(message).toContain('Support B of "blocks.0.qkv" is none in adapter.json, but adapter.safetensors holds');
  expect(message).toContain('Support E of "blocks.0.proj" is none in adapter.json');
  expect(message).toContain('Tensor "norm.weight" is no support, and no tensor of the model\'s head.');
  expect(details["misfits"]).toContainEqual(
    expect.objectContaining({ layer: "blocks.0.qkv", support: "A", expected: [6, 3], actual: [6, 2] }),
  );
});

test("a long list is cut in the text and whole in the details", async () => {
  const unknown = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`layer.${i}`, { A: "scalar" }]));
  const { message, details } = await refusal(load({ layers: unknown }));
  expect(message).toContain("… and 10 more");
  expect(details["misfits"]).toHaveLength(30);
});

test("a number that is not finite is refused", async () => {
  const tensors = { "blocks.0.qkv.E.X": [6], "head.weight": [3, 4], "head.bias": [3] };
  const { message } = await refusal(load({ layers: { "blocks.0.qkv": { E: "vector" } } }, tensors, Number.NaN));
  expect(message).toContain('Support E of "blocks.0.qkv" (vector): blocks.0.qkv.E.X holds NaN at element 0.');
  expect(message).toContain("The head's head.bias holds NaN at element 0.");
});

describe("adapter.json", () => {
  const open = (json: string) =>
    openAdapter(memoryFolder({ "adapter.json": json, "adapter.safetensors": tensorFile({}) }));

  test.each([
    [{ version: 2, layers: 5 }, "version: this program reads version 1, not 2; update it"],
    [{ format: "peft" }, 'format: "glora-adapter" is expected, not "peft"'],
    [{ version: undefined }, "version: is missing"],
    [{ format: undefined }, "format: is missing"],
    [{ layers: undefined }, "layers: is missing"],
    [{ layers: [] }, "layers: an object is expected, not a list of 0"],
    [{ a: "sum" }, 'a: one of elementwise, product is expected, not "sum"'],
    [{ layers: { fc: { F: "vector" } } }, "layers.fc.F: no such support; A, B, C, D, E are known"],
    [{ layers: { fc: { C: "scalar" } } }, 'layers.fc.C: one of lora_<rank>, vector, none is expected, not "scalar"'],
    [
      { layers: { fc: { B: "lora_0" } } },
      'layers.fc.B: one of lora_<rank>, vector, scalar, none is expected, not "lora_0"',
    ],
    [{ layers: { fc: "lora_4" } }, 'layers.fc: an object is expected, not "lora_4"'],
    [{ labels: ["a", "b", "a"] }, 'labels: "a" occurs twice; each class needs its own name'],
    [{ labels: ["a", 1] }, "labels: a list of texts is expected"],
    [{ base: { name: 3 } }, "base.name: a text is expected, not 3"],
    [{ base: { name: "x", sha256: { f: 1 } } }, "base.sha256.f: a text is expected, not 1"],
    [{ imageSize: [0, 32] }, "imageSize: a positive whole number or [height, width] is expected, not a list of 2"],
    [{ training: [1] }, "training: an object is expected, not a list of 1"],
  ])("%j is refused", async (fields, text) => {
    const { code, message } = await refusal(open(manifest(fields)));
    expect(code).toBe("CONFIG");
    expect(message).toContain("flowers/adapter.json:");
    expect(message).toContain(text);
  });

  test("a key that an object holds twice is refused", async () => {
    const twice = manifest({ layers: { fc: { A: "vector" } } }).replace('"A":', '"A":"scalar","\\u0041":');
    const { code, message } = await refusal(open(twice));
    expect(code).toBe("CONFIG");
    expect(message).toBe('flowers/adapter.json: "A" occurs twice in one object');
  });

  test("null for a layer or a support is none", async () => {
    const { manifest: read } = await open(manifest({ layers: { fc1: null, fc2: { A: null, E: "scalar" } } }));
    expect([...read.genome]).toEqual([
      ["fc1", NO_CHANGE],
      ["fc2", { ...NO_CHANGE, E: "scalar" }],
    ]);
  });

  test("facts come back, and fields of a later day are ignored", async () => {
    const facts = {
      base: { name: "vit", sha256: { "model.safetensors": "ab" } },
      labels: ["x"],
      imageSize: [32, 48],
      preprocessing: { size: 32 },
      training: { steps: 7, options: { rank: 4 } },
    };
    const { manifest: read } = await open(manifest({ ...facts, tomorrow: true }));
    expect(read).toEqual({ a: "elementwise", genome: new Map(), ...facts });
  });

  test("a missing file is named", async () => {
    expect((await refusal(openAdapter(memoryFolder({})))).message).toContain("has no adapter.json");
    const alone = openAdapter(memoryFolder({ "adapter.json": manifest() }));
    expect((await refusal(alone)).message).toBe("flowers: has no adapter.safetensors.");
  });
});

describe("on disk", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "glora-adapter-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("an adapter is saved whole, and never over another", async () => {
    const genome: Genome = new Map([["blocks.0.proj", { ...NO_CHANGE, B: "lora_2" }]]);
    const table = fixedTable(genome, layers, "elementwise");
    const adapter: Adapter = {
      a: "elementwise",
      genome,
      base: { name: "vit", sha256: {} },
      labels: ["x", "y", "z"],
      table,
      values: Float32Array.from({ length: table.size }, (_, i) => i / 7),
      head: head.map(({ name, shape }, i) => ({ name, shape, values: new Float32Array(12 - 9 * i).fill(i) })),
    };
    const path = join(folder, "saved");
    await saveAdapter(path, adapter);
    expect((await readdir(path)).sort()).toEqual(["adapter.json", "adapter.safetensors"]);
    const read = await loadAdapter(await openAdapter(await openFolder(path)), layers, head);
    expect(read.values).toEqual(adapter.values);
    expect(read.head).toEqual(adapter.head);
    expect(read.labels).toEqual(adapter.labels);
    const before = await readFile(join(path, "adapter.json"), "utf8");
    expect(JSON.parse(before)).toMatchObject({
      format: "glora-adapter",
      version: 1,
      layers: { "blocks.0.proj": { B: "lora_2" } },
    });
    expect((await refusal(saveAdapter(path, adapter))).message).toContain("is not empty");
    expect(await readFile(join(path, "adapter.json"), "utf8")).toBe(before);

    await saveAdapter(join(folder, "run/adapter"), adapter);
    expect((await openAdapterPath(join(folder, "run/adapter"))).manifest.labels).toEqual(["x", "y", "z"]);
    const run = join(folder, "run");
    expect((await refusal(openAdapterPath(run))).message).toBe(
      `${run}: is a run; its adapter is ${join(run, "adapter")}.`,
    );
  });

  test("the base is verified by the hashes of its files", async () => {
    await writeFile(join(folder, "model.safetensors"), "abc");
    const model = await openFolder(folder);
    const base = await describeBase("vit", model, ["model.safetensors"]);
    // FIPS 180-2, appendix B.1: SHA-256 of "abc"
    const hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    expect(base).toEqual({ name: "vit", sha256: { "model.safetensors": hash } });
    await verifyBase(base, model);
    await writeFile(join(folder, "model.safetensors"), "abd");
    const { message } = await refusal(verifyBase(base, await openFolder(folder)));
    expect(message).toContain(`SHA-256 of model.safetensors: expected ${hash}, found a52d159f`);
    expect((await refusal(verifyBase(undefined, model))).message).toContain("records no hashes");
    expect((await refusal(describeBase("vit", model, ["other.safetensors"]))).message).toContain(
      "has no other.safetensors",
    );
  });
});
