import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import cases from "../../../test/fixtures/vit-config/cases.fixtures.json" with { type: "json" };
import { openCheckpoint } from "../../formats/checkpoint.js";
import { readJson } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import { readFloat32, type TensorEntry } from "../../formats/safetensors.js";
import { memorySource } from "../../formats/source.js";
import { parseVitConfig } from "./config.js";
import { checkVitTensors, vitLibraryOf } from "./names.js";

type Shapes = Record<string, number[]>;

const source = memorySource("model.safetensors", new Uint8Array());
const checkpoint = (shapes: Shapes, dtype: TensorEntry["dtype"] = "F32") => ({
  tensors: new Map(
    Object.entries(shapes).map(([name, shape]) => [name, { name, dtype, shape, source, offset: 0, length: 0 }]),
  ),
});

// Tensors and linear layers of models that the libraries built: scripts/fixtures/vit-config.py.
test.each(Object.entries(cases))("%s: every tensor has its place", (_title, { library, config, tensors, linears }) => {
  const model = checkpoint(tensors as unknown as Shapes);
  expect(vitLibraryOf(model.tensors)).toBe(library);
  const { names, layers } = checkVitTensors(model, parseVitConfig(config, "config.json"), "vit");
  if (linears) expect(layers.map((l) => [l.name, l.in, l.out, l.bias])).toEqual(linears);
  for (const layer of layers) expect(tensors).toHaveProperty([`${layer.name}.weight`], [layer.out, layer.in]);
  for (const block of names.blocks) expect(tensors).toHaveProperty([`${block.norm2}.weight`]);
});

const DEIT = "../shared/data/models/deit-tiny";

test.skipIf(!existsSync(DEIT))(`a real checkpoint fits (skipped where ${DEIT} is missing)`, async () => {
  const folder = await openFolder(DEIT);
  const { tensors, files } = await openCheckpoint(folder);
  expect(files).toEqual(["model.safetensors"]);
  const { layers } = checkVitTensors({ tensors }, parseVitConfig(await readJson(folder, "config.json"), "c"), DEIT);
  expect(layers).toHaveLength(48);
  const norm = await readFloat32(tensors.get("norm.weight")!);
  expect(norm.every((value) => value > 0 && value < 10)).toBe(true);
});

test("transformers' layers on disk are those in memory, in the same order", () => {
  const layersOf = (title: keyof typeof cases) => {
    const { config, tensors } = cases[title];
    return checkVitTensors(checkpoint(tensors as unknown as Shapes), parseVitConfig(config, "c"), "vit").layers;
  };
  const onDisk = layersOf("transformers, bare");
  const inMemory = layersOf("transformers, bare, in memory");
  const spelling = [
    [/encoder\.layer\./, "layers."],
    [/attention\.attention\.(query|key|value)/, (_: string, part: string) => `attention.${part[0]}_proj`],
    [/attention\.output\.dense/, "attention.o_proj"],
    [/intermediate\.dense/, "mlp.fc1"],
    [/(\d\.)output\.dense/, "$1mlp.fc2"],
  ] as const;
  const renamed = onDisk.map(({ name }) =>
    spelling.reduce((text, [from, to]) => text.replace(from, to as string), name),
  );
  expect(renamed).toEqual(inMemory.map(({ name }) => name));
});

test("only query, key and value can get a bias that they lack", () => {
  const { config, tensors } = cases["timm, quick gelu, no qkv bias, narrow MLP"];
  const { layers } = checkVitTensors(checkpoint(tensors as unknown as Shapes), parseVitConfig(config, "c"), "vit");
  expect(layers.filter((l) => l.addableBias).map((l) => l.name)).toEqual(["blocks.0.attn.qkv", "blocks.1.attn.qkv"]);
});

test("poolers, mask tokens and pre_logits play no part", () => {
  const { config, tensors } = cases["transformers, two labels"];
  const more = {
    "vit.pooler.dense.weight": [24, 24],
    "vit.embeddings.mask_token": [1, 1, 24],
    "vit.embeddings.position_ids": [1, 17],
  };
  checkVitTensors(checkpoint({ ...tensors, ...more } as unknown as Shapes), parseVitConfig(config, "c"), "vit");
  const old = cases["timm, token"];
  const preLogits = { "pre_logits.fc.weight": [24, 24], "pre_logits.fc.bias": [24] };
  checkVitTensors(
    checkpoint({ ...old.tensors, ...preLogits } as unknown as Shapes),
    parseVitConfig(old.config, "c"),
    "vit",
  );
});

test("a SigLIP whose mean is pooled may come with its attention pooling, another model not", () => {
  const { config, tensors } = cases["timm, attention pooling"];
  const check = (change: object) => () =>
    checkVitTensors(checkpoint(tensors as unknown as Shapes), parseVitConfig({ ...config, ...change }, "c"), "vit");
  const mean = { global_pool: "avg", model_args: { ...config.model_args, global_pool: "avg" } };
  expect(check(mean)().layers.at(-1)?.name).toBe("blocks.1.mlp.fc2");
  expect(check({ ...mean, architecture: "vit_base_patch16_gap_224" })).toThrow("unexpected: attn_pool.latent [1,1,24]");
});

test("all that is missing, misshapen and unexpected is told at once", () => {
  const { config, tensors } = cases["timm, mean pooling, rectangular"];
  const { "blocks.1.attn.qkv.bias": _bias, "fc_norm.weight": _norm, ...rest } = tensors as unknown as Shapes;
  const broken = { ...rest, pos_embed: [1, 17, 24], "norm.weight": [24], "blocks.2.norm1.bias": [24], head_dist: [3] };
  expect(() => checkVitTensors(checkpoint(broken), parseVitConfig(config, "c"), "vit")).toThrow(
    expect.objectContaining({
      code: "MODEL",
      message: [
        "vit: the weights do not fit config.json (vit_tiny_patch16_224):",
        "  - misshapen: pos_embed [1,17,24], expected [1,13,24]",
        "  - missing: blocks.1.attn.qkv.bias [72]",
        "  - missing: fc_norm.weight [24]",
        "  - unexpected: norm.weight [24]",
        "  - unexpected: blocks.2.norm1.bias [24]",
        "  - unexpected: head_dist [3]",
      ].join("\n"),
    }),
  );
});

test("a depth above the file's is told as such, without a name for each block", () => {
  const { config, tensors } = cases["timm, token"];
  const parsed = parseVitConfig(config, "c");
  const check = (shapes: object, depth: number) => () =>
    checkVitTensors(checkpoint(shapes as Shapes), { ...parsed, depth }, "vit");
  expect(check(tensors, 10_000_000)).toThrow(
    expect.objectContaining({
      code: "MODEL",
      message:
        "vit: config.json (vit_tiny_patch16_224) says 10000000 layers, but the weights hold " +
        `${parsed.depth} layers (blocks.0 and so on). Give the config and the weights of one model.`,
    }),
  );
  expect(check(tensors, parsed.depth + 1)).toThrow(`says ${parsed.depth + 1} layers`);
  expect(check({ "patch_embed.proj.weight": [1] }, 10_000_000)).toThrow("the weights hold 0 layers");
  expect(check({ "patch_embed.proj.weight": [1], "blocks.0.x": [1] }, 2)).toThrow("the weights hold 1 layer (");
});

test("timm's models have no tanh layer pre_logits: it is let be, and named", () => {
  const { config, tensors } = cases["timm, token"];
  const check = (more: object) =>
    checkVitTensors(checkpoint({ ...tensors, ...more } as Shapes), parseVitConfig(config, "c"), "vit").unused;
  expect(check({})).toEqual([]);
  expect(check({ "pre_logits.fc.weight": [24, 24], "pre_logits.fc.bias": [24] })).toEqual([
    "pre_logits.fc.weight",
    "pre_logits.fc.bias",
  ]);
});

test("integers are no weights", () => {
  const { config, tensors } = cases["timm, token"];
  expect(() =>
    checkVitTensors(checkpoint(tensors as unknown as Shapes, "I8"), parseVitConfig(config, "c"), "vit"),
  ).toThrow("unsupported type: cls_token I8, expected F32, F16, BF16 or F64");
});

test("the other library's weights are told apart from the config", () => {
  const { config } = cases["timm, token"];
  const { tensors } = cases["transformers, two labels"];
  expect(() => checkVitTensors(checkpoint(tensors as unknown as Shapes), parseVitConfig(config, "c"), "vit")).toThrow(
    /missing: cls_token[\s\S]*unexpected: vit\.embeddings\.cls_token/,
  );
  expect(vitLibraryOf(new Map([["conv1.weight", 0]]))).toBeUndefined();
});
