import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fromFloat32 } from "../base/float.js";
import type { Tensor } from "../base/tensor.js";
import { openFile } from "../formats/file.node.js";
import { openFolder } from "../formats/folder.node.js";
import { readFloat32, readSafetensors, type TensorEntry } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensors-file.node.js";
import type { Graph } from "../ir/graph.js";
import type { Model } from "../models/model.js";
import { lowerFor } from "../passes/lower.js";
import { adaptedGraph } from "./adapted-graph.js";
import type { AdaptedModel } from "./adapted-model.js";
import { openAdapter } from "./adapter-file.js";
import { attachAdapter } from "./attach.js";
import { mergeModel } from "./export.node.js";
import { inference } from "./inference.js";
import { adapted, baseFolder, expected, type Library, openBase, readJsonFile, scratch } from "./merge.fixtures.js";
import { logitsOf, relativeDifference } from "./merge-model.js";

let count = 0;
const newPath = (): string => join(scratch, `out-${count++}`);

async function tensorsOf(folder: string): Promise<Map<string, TensorEntry & { file: string }>> {
  const found = new Map<string, TensorEntry & { file: string }>();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".safetensors")))
    for (const [name, entry] of (await readSafetensors(await openFile(join(folder, file)))).tensors)
      found.set(name, { ...entry, file });
  return found;
}

async function merge(library: Library, o: Partial<Parameters<typeof mergeModel>[2]> = {}, from?: AdaptedModel) {
  const out = newPath();
  const { inputs } = await expected(library);
  const result = await mergeModel(from ?? (await adapted(library)), out, { inputs, ...o });
  return { out, ...result, files: (await readdir(out, { recursive: true })).sort() };
}

const logitsOfFolder = async (folder: string, library: Library): Promise<Float32Array> => {
  const model = await openBase(folder);
  return logitsOf(model, adaptedGraph(model, { head: "frozen" }), (await expected(library)).inputs);
};

describe("a timm folder", async () => {
  const { out, report, storage, files, onnxFolder, notes } = await merge("timm");

  test("holds the files of its library, and those of transformers.js in a folder of their own", () => {
    expect(files).toEqual([
      "config.json",
      "model.safetensors",
      "preprocessor_config.json",
      "transformers-js",
      "transformers-js/config.json",
      "transformers-js/onnx",
      "transformers-js/onnx/model.onnx",
      "transformers-js/preprocessor_config.json",
    ]);
    expect(onnxFolder).toBe(join(out, "transformers-js"));
    expect(notes).toEqual(["Where the centre crop's margin is odd, transformers cuts half a pixel beside timm."]);
  });

  test("has the logits that PyTorch has for the adapted model", async () => {
    // Float32 against float64 over two blocks; measured 3e-7.
    expect(relativeDifference(await logitsOfFolder(out, "timm"), (await expected("timm")).logits)).toBeLessThan(5e-6);
    expect(storage).toBe(0);
  });

  test("reports what merging changed in float32, layer by layer", () => {
    expect(report.examples).toBe(3);
    expect(report.layers.map(({ name }) => name)).toEqual([
      "blocks.0.attn.qkv",
      "blocks.0.mlp.fc1",
      "blocks.1.attn.proj",
      "blocks.1.mlp.fc2",
    ]);
    expect(report.layerLimit).toBe(1e-5);
    for (const { difference } of report.layers) expect(difference).toBeLessThan(1e-6);
    expect(report.logits).toBeLessThan(1e-5);
    expect(report.rounding).toBeGreaterThan(0);
    expect(report.rounding).toBeLessThan(1e-5);
    expect(report.logitsLimit).toBe(Math.max(1e-4, 30 * report.rounding));
  });

  test("keeps names, types and shapes; a bias is added to every qkv, zeros where the adapter has none", async () => {
    const [before, after] = [await tensorsOf(baseFolder("timm")), await tensorsOf(out)];
    const added = ["blocks.0.attn.qkv.bias", "blocks.1.attn.qkv.bias"];
    expect([...after.keys()].sort()).toEqual([...before.keys(), ...added].sort());
    for (const [name, { dtype, shape }] of after) {
      expect(dtype).toBe("F32");
      if (!added.includes(name) && !name.startsWith("head.")) expect(shape).toEqual(before.get(name)!.shape);
    }
    expect(after.get("head.weight")!.shape).toEqual([4, 12]);
    expect(Math.max(...(await readFloat32(after.get(added[0]!)!)).map(Math.abs))).toBeGreaterThan(0.1);
    expect(await readFloat32(after.get(added[1]!)!)).toEqual(new Float32Array(36));
    const untouched = "blocks.1.mlp.fc1.weight";
    expect(await readFloat32(after.get(untouched)!)).toEqual(await readFloat32(before.get(untouched)!));
  });

  test("says in config.json what has changed, and nothing else", async () => {
    const [before, after] = [
      await readJsonFile(baseFolder("timm"), "config.json"),
      await readJsonFile(out, "config.json"),
    ];
    const { label_descriptions: _, ...kept } = before;
    expect(after).toEqual({
      ...kept,
      num_classes: 4,
      label_names: ["circle", "square", "star", "triangle"],
      model_args: { ...before.model_args, qkv_bias: true },
      pretrained_cfg: { ...before.pretrained_cfg, num_classes: 4 },
    });
    expect(await readJsonFile(onnxFolder, "config.json")).toMatchObject({
      model_type: "vit",
      id2label: { 0: "circle", 1: "square", 2: "star", 3: "triangle" },
      "transformers.js_config": { dtype: "fp32" },
    });
    for (const folder of [out, onnxFolder])
      expect(await readJsonFile(folder, "preprocessor_config.json")).toMatchObject({
        image_processor_type: "ViTImageProcessor",
        crop_size: { height: 8, width: 8 },
        image_mean: [0.5, 0.5, 0.5],
      });
  });

  test("has the base's graph, but for the added biases", async () => {
    const ops = (model: Model): string[] => {
      const graph: Graph = lowerFor("cpu", adaptedGraph(model, { head: "frozen" }));
      return graph.nodes.map(({ op, inputs }) => `${op} of ${inputs.length}`);
    };
    const [before, after] = [ops(await openBase(baseFolder("timm"))), ops(await openBase(out))];
    // A product without a bias takes two operands, with one three.
    expect(before.filter((op) => op === "Gemm of 2").length).toBe(2);
    expect(after).toEqual(before.map((op) => (op === "Gemm of 2" ? "Gemm of 3" : op)));
  });
});

describe("a transformers folder of a bare trunk, in shards of F16", async () => {
  const { out, storage, files, onnxFolder } = await merge("transformers");
  const [before, after] = [await tensorsOf(baseFolder("transformers")), await tensorsOf(out)];

  test("holds the files of its library and of transformers.js side by side", () => {
    expect(files).toEqual([
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "onnx",
      "onnx/model.onnx",
      "preprocessor_config.json",
    ]);
    expect(onnxFolder).toBe(out);
  });

  test("has the logits that PyTorch has for the adapted model, but for rounding to F16", async () => {
    const difference = relativeDifference(
      await logitsOfFolder(out, "transformers"),
      (await expected("transformers")).logits,
    );
    // Half a unit of F16 is 5e-4 of a weight; a few hundred of them average out.
    expect(difference).toBeLessThan(2e-3);
    expect(difference).toBeGreaterThan(1e-6);
    // The same rounding, measured against the exact merged model.
    expect(storage / difference).toBeCloseTo(1, 2);
  });

  test("becomes a classifier: the trunk's names get its prefix, the pooler goes, every tensor keeps type and shard", () => {
    const kept = [...before].filter(([name]) => !name.startsWith("pooler."));
    expect([...after.keys()].sort()).toEqual(
      [...kept.map(([name]) => `vit.${name}`), "classifier.bias", "classifier.weight"].sort(),
    );
    for (const [name, { file, shape, dtype }] of kept)
      expect(after.get(`vit.${name}`)).toMatchObject({ file, shape, dtype });
    expect(after.get("classifier.weight")).toMatchObject({
      file: "model-00002-of-00002.safetensors",
      shape: [2, 12],
      dtype: "F16",
    });
  });

  test("has an index of what is there", async () => {
    const { metadata, weight_map } = await readJsonFile(out, "model.safetensors.index.json");
    expect(weight_map).toEqual(Object.fromEntries([...after].map(([name, { file }]) => [name, file])));
    expect(metadata).toEqual({ total_size: [...after.values()].reduce((sum, { length }) => sum + length, 0) });
  });

  test("says in config.json what has changed, and nothing else", async () => {
    expect(await readJsonFile(out, "config.json")).toEqual({
      ...(await readJsonFile(baseFolder("transformers"), "config.json")),
      architectures: ["ViTForImageClassification"],
      id2label: { 0: "cat", 1: "dog" },
      label2id: { cat: 0, dog: 1 },
      "transformers.js_config": { dtype: "fp32" },
    });
  });
});

/** The timm fixture's base in another form. */
async function timmBase(
  o: {
    dtypeOf?: (name: string) => "F32" | "F16" | "BF16";
    change?: (name: string, values: Float32Array) => void;
    config?: (json: Record<string, unknown>) => Record<string, unknown>;
    files?: Record<string, string>;
  } = {},
): Promise<string> {
  const folder = newPath();
  await mkdir(folder);
  const { dtypeOf = () => "F32", change, config = (json) => json } = o;
  const tensors = [...(await tensorsOf(baseFolder("timm"))).values()].map(async (entry) => {
    const [values, dtype] = [await readFloat32(entry), dtypeOf(entry.name)];
    change?.(entry.name, values);
    return { name: entry.name, shape: entry.shape, dtype, data: fromFloat32(values, dtype) };
  });
  await writeSafetensors(join(folder, "model.safetensors"), await Promise.all(tensors));
  const json = config(await readJsonFile(baseFolder("timm"), "config.json"));
  await writeFile(join(folder, "config.json"), JSON.stringify(json));
  for (const [file, text] of Object.entries(o.files ?? {})) await writeFile(join(folder, file), text);
  return folder;
}

describe("types", () => {
  // Half a unit in the last place of a weight, 2⁻¹¹ and 2⁻⁸ of it, averages out over a sum; measured 3e-4 and 4e-3.
  test.each([
    { dtype: "F16", limit: 1e-3 },
    { dtype: "BF16", limit: 1e-2 },
  ] as const)("a base of $dtype stays one, and what that costs is told apart", async ({ dtype, limit }) => {
    const base = await adapted("timm", await openBase(await timmBase({ dtypeOf: () => dtype })));
    const { out, report, storage } = await merge("timm", {}, base);
    for (const entry of (await tensorsOf(out)).values()) expect(entry.dtype).toBe(dtype);
    expect(report.logits).toBeLessThan(1e-5);
    expect(storage).toBeGreaterThan(limit / 100);
    expect(storage).toBeLessThan(limit);
  });

  test("each tensor keeps its own; new ones take the one that is most common", async () => {
    const dtypeOf = (name: string) => (name.includes("norm") || name === "head.weight" ? "F32" : "BF16");
    const base = await adapted("timm", await openBase(await timmBase({ dtypeOf })));
    const { out } = await merge("timm", {}, base);
    for (const { name, dtype } of (await tensorsOf(out)).values())
      expect(`${name} ${dtype}`).toBe(`${name} ${dtypeOf(name)}`);
  });

  test("dtype says another for all; transformers' config says it too", async () => {
    const { out, storage } = await merge("transformers", { dtype: "F32" });
    for (const { dtype } of (await tensorsOf(out)).values()) expect(dtype).toBe("F32");
    expect(storage).toBe(0);
    expect(
      relativeDifference(await logitsOfFolder(out, "transformers"), (await expected("transformers")).logits),
    ).toBeLessThan(5e-6);
    expect(await readJsonFile(out, "config.json")).toMatchObject({ dtype: "float32" });
    const half = await merge("timm", { dtype: "F16" });
    for (const { dtype } of (await tensorsOf(half.out)).values()) expect(dtype).toBe("F16");
  });

  test("a number that the type cannot hold is refused", async () => {
    const change = (name: string, values: Float32Array) => {
      if (name === "blocks.0.norm1.weight") values[3] = 7e4;
    };
    const base = await adapted("timm", await openBase(await timmBase({ change })));
    await expect(merge("timm", { dtype: "F16" }, base)).rejects.toThrow(
      "blocks.0.norm1.weight holds 70000 at element 3, which F16 cannot hold. Store the merged model as F32.",
    );
    expect(await leftovers()).toEqual([]);
  });
});

describe("heads and labels", () => {
  test("the model's own head is kept, and its labels as they are written", async () => {
    const base = await openBase(baseFolder("timm"));
    const manifest = { a: "elementwise", genome: new Map() } as const;
    const from = await attachAdapter(base, { name: "none", manifest, tensors: new Map() });
    const { out } = await merge("timm", {}, from);
    const config = await readJsonFile(out, "config.json");
    expect(config).toEqual(await readJsonFile(baseFolder("timm"), "config.json"));
    const [before, after] = [await tensorsOf(baseFolder("timm")), await tensorsOf(out)];
    expect([...after.keys()]).toEqual([...before.keys()]);
    for (const [name, entry] of after) expect(await readFloat32(entry)).toEqual(await readFloat32(before.get(name)!));
  });

  test("where no labels are known, none are written for timm, and transformers' own for transformers.js", async () => {
    const nameless = ({ label_names: _, label_descriptions: __, ...json }: Record<string, unknown>) => json;
    const base = await openBase(await timmBase({ config: nameless }));
    const from = await attachAdapter(base, {
      name: "none",
      manifest: { a: "elementwise", genome: new Map() },
      tensors: new Map(),
    });
    const { out, onnxFolder } = await merge("timm", {}, from);
    expect(await readJsonFile(out, "config.json")).not.toHaveProperty("label_names");
    expect((await readJsonFile(onnxFolder, "config.json")).id2label).toEqual({
      0: "LABEL_0",
      1: "LABEL_1",
      2: "LABEL_2",
    });
  });
});

test("a trunk without a head stays one", async () => {
  const bare = await openBase(baseFolder("transformers"));
  const { manifest, ...file } = await openAdapter(await openFolder(join(baseFolder("transformers"), "adapter")));
  const { labels: _, ...unlabelled } = manifest;
  const supports = new Map([...file.tensors].filter(([name]) => !name.startsWith("classifier.")));
  const from = await attachAdapter(bare, { ...file, manifest: unlabelled, tensors: supports });
  const { out, report } = await merge("transformers", {}, from);
  expect(report.logits).toBeLessThan(1e-5);
  const [before, after] = [await tensorsOf(baseFolder("transformers")), await tensorsOf(out)];
  for (const [name, { file, shape, dtype }] of before) expect(after.get(name)).toMatchObject({ file, shape, dtype });
  expect(after.size).toBe(before.size);
  const { "transformers.js_config": __, ...config } = await readJsonFile(out, "config.json");
  expect(config).toEqual(await readJsonFile(baseFolder("transformers"), "config.json"));
});

test("licences go along; other files of the base do not", async () => {
  const files = {
    LICENSE: "Apache",
    "NOTICE.txt": "by",
    "README.md": "# A card",
    "notes.txt": "",
    "training_args.bin": "",
  };
  const { files: written, out } = await merge(
    "timm",
    {},
    await adapted("timm", await openBase(await timmBase({ files }))),
  );
  expect(written.filter((file) => file in files)).toEqual(["LICENSE", "NOTICE.txt"]);
  expect(await readFile(join(out, "LICENSE"), "utf8")).toBe("Apache");
});

/** Temporary folders that a merge has left behind. */
const leftovers = async (): Promise<string[]> => (await readdir(scratch)).filter((name) => name.includes("partial"));

describe("nothing is left behind", () => {
  const failing = async (from: AdaptedModel, inputs?: Record<string, Tensor>): Promise<unknown> => {
    const out = newPath();
    const given = inputs ?? (await expected("timm")).inputs;
    const thrown = await mergeModel(from, out, { inputs: given }).catch((error: unknown) => error);
    await expect(stat(out)).rejects.toThrow("ENOENT");
    expect(await leftovers()).toEqual([]);
    return thrown;
  };

  test("when merged and adapted disagree, and the layer is named", async () => {
    const from = await adapted("timm");
    // The merged weights are computed from what is read here; the adapted model maps the file itself.
    const weights = new Map(from.model.weights);
    const { shape, data } = weights.get("blocks.1.attn.proj.weight")!;
    if (data.kind !== "external") throw new Error("The fixture's weights lie in a file.");
    const read = async (offset: number, length: number): Promise<Uint8Array> => {
      const bytes = (await data.source.read(offset, length)).slice();
      new Float32Array(bytes.buffer)[5]! += 0.01;
      return bytes;
    };
    weights.set("blocks.1.attn.proj.weight", { shape, data: { ...data, source: { ...data.source, read } } });
    const thrown = await failing({ ...from, model: { ...from.model, weights } });
    expect(thrown).toMatchObject({ code: "MERGE", details: { report: { examples: 3 } } });
    expect(`${thrown}`).toMatch(
      /The merged model is not the adapted one: logits differ by \d\.\de-[1-4] of the largest \(limit 1\.0e-4\), blocks\.1\.attn\.proj by \d\.\de-\d \(limit 1e-5\)\. Nothing was written/,
    );
  });

  test("when a stored number is not finite", async () => {
    const from = await adapted("timm");
    from.parameters[7] = Number.NaN;
    expect(`${await failing(from)}`).toContain('Support A of "blocks.0.attn.qkv" cannot be merged');
  });

  test("when the inputs do not fit", async () => {
    const pixels: Tensor = { dtype: "float32", shape: [1, 3, 4, 4], data: new Float32Array(48) };
    expect(await failing(await adapted("timm"), { pixel_values: pixels })).toMatchObject({ code: "USAGE" });
  });

  test("when a layer needs a bias that the config cannot say: it is named, and the adapter still runs", async () => {
    const ofConfig = await adapted("timm");
    const fixedBias = <T>(layer: T) => ({ ...layer, addableBias: false });
    const from = {
      ...ofConfig,
      model: { ...ofConfig.model, layers: ofConfig.model.layers.map(fixedBias) },
      space: { ...ofConfig.space, layers: ofConfig.space.layers.map(fixedBias) },
    };
    const thrown = await failing(from);
    expect(thrown).toMatchObject({ code: "MERGE", details: { layers: ["blocks.0.attn.qkv"] } });
    expect(`${thrown}`).toContain(
      "C or E acts on layers that have no bias, and the model's config cannot say that one is added: blocks.0.attn.qkv. " +
        "Train without C and E on them, or run the adapter unmerged.",
    );
    const { inputs, logits } = await expected("timm");
    const { model, graph, feeds } = inference(from);
    expect(relativeDifference(await logitsOf(model, graph, { ...inputs, ...feeds }), logits)).toBeLessThan(5e-6);
  });
});

describe("where a merged model may go", () => {
  const refused = async (from: AdaptedModel, out: string): Promise<unknown> =>
    mergeModel(from, out, { inputs: (await expected("timm")).inputs }).catch((error: unknown) => error);

  test("not into its base, by whatever name", async () => {
    const base = await timmBase();
    const link = newPath();
    await symlink(base, link);
    const throughLink = await adapted("timm", await openBase(link));
    for (const from of [await adapted("timm", await openBase(base)), throughLink])
      for (const out of [base, link, `${base}/`, join(base, "merged"), join(link, "new", "merged")]) {
        const thrown = await refused(from, out);
        expect(thrown).toMatchObject({ code: "USAGE" });
        expect(`${thrown}`).toContain(`${out}: the merged model cannot be written into the folder of its base`);
      }
    expect((await readdir(base)).sort()).toEqual(["config.json", "model.safetensors"]);
    // A name that only begins like the base's is another folder.
    expect(await refused(throughLink, `${base}-merged`)).toHaveProperty("report");
  });

  test("not over other files; an empty folder may be taken, also through a link", async () => {
    const from = await adapted("timm");
    const [full, empty, link] = [newPath(), newPath(), newPath()];
    await mkdir(full);
    await writeFile(join(full, "mine"), "");
    await mkdir(empty);
    await symlink(empty, link);
    expect(`${await refused(from, full)}`).toContain("is not empty");
    expect(`${await refused(from, join(full, "mine"))}`).toContain("is a file, or lies in one");
    expect(await readdir(full)).toEqual(["mine"]);
    expect(await refused(from, link)).toMatchObject({ onnxFolder: join(link, "transformers-js") });
    expect(await readdir(empty)).toContain("model.safetensors");
    expect(await leftovers()).toEqual([]);
  });
});
