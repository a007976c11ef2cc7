import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { adaptedGraph } from "../../adapters/adapted-graph.js";
import { openCheckpoint } from "../../formats/checkpoint.js";
import { openFile } from "../../formats/file.node.js";
import { readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { openWeightsFolder } from "../../formats/weights-folder.node.js";
import { createNodeRuntime } from "../../runtime/node/node-runtime.node.js";
import { openModel } from "../open.node.js";
import { fromJax } from "./jax.js";

const runtime = await createNodeRuntime();
const temporary = await mkdtemp(join(tmpdir(), "glora-jax-"));
afterAll(async () => {
  await runtime.dispose();
  await rm(temporary, { recursive: true });
});

// Written by numpy, read and run by timm: scripts/fixtures/weight-files.py.
const fixtures = "test/fixtures/weight-files/";

/** The largest difference from timm's outputs, and the largest of these. */
async function compare(path: string, reference: string): Promise<[number, number]> {
  const model = await openModel(path, { runtime });
  const { tensors } = await readSafetensors(await openFile(`${fixtures}${reference}.reference.safetensors`));
  const pixels = tensors.get("pixel_values")!;
  const session = await runtime.open(adaptedGraph(model, { head: "frozen" }));
  const outputs = await session.run({
    pixel_values: { dtype: "float32", shape: pixels.shape, data: await readFloat32(pixels) },
  });
  await session.dispose();
  const found = (outputs["logits"] ?? outputs["features"])!.data as Float32Array;
  const expected = await readFloat32(tensors.get("logits")!);
  expect(found).toHaveLength(expected.length);
  const difference = Math.max(...found.map((value, i) => Math.abs(value - expected[i]!)));
  return [difference, Math.max(...expected.map(Math.abs))];
}

// float32 through two blocks against timm in float64; a wrong transposition or norm costs over 0.01.
const TOLERANCE = 5e-6;

test.each(["original", "in21k", "mean", "class", "map"])(
  "%s: the outputs are those that timm reads from the file",
  async (name) => {
    const [difference, largest] = await compare(`${fixtures}jax-${name}.npz`, `jax-${name}`);
    expect(largest).toBeGreaterThan(0.1);
    expect(difference / largest).toBeLessThan(TOLERANCE);
  },
);

test("what the shapes say is a config in timm's terms", async () => {
  const folder = await openWeightsFolder(`${fixtures}jax-class.npz`);
  const { config, checkpoint } = fromJax(await openCheckpoint(folder), undefined, folder.name);
  expect(config.json).toMatchObject({
    architecture: "vit_base_patch16_224",
    num_classes: 5,
    global_pool: "token",
    model_args: { img_size: [9, 9], patch_size: [3, 3], embed_dim: 6, depth: 2, num_heads: 3, no_embed_class: true },
    pretrained_cfg: { input_size: [3, 9, 9], mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
  expect(checkpoint.tensors.get("blocks.1.attn.qkv.weight")!.shape).toEqual([18, 6]);
  // Vectors lie where they lay.
  expect(checkpoint.tensors.get("norm.weight")!.source.path).toBe(`${folder.path}`);
});

test("a config.json beside the file wins: the head of an ImageNet-21k file, without its tanh", async () => {
  await copyFile(`${fixtures}jax-in21k.npz`, join(temporary, "x.npz"));
  const json = (classes: number) => ({
    architecture: "vit_base_patch16_224",
    num_classes: classes,
    model_args: { img_size: 9, patch_size: 3, embed_dim: 6, depth: 2, num_heads: 3, mlp_ratio: 10.5 / 6 },
  });
  await writeFile(join(temporary, "config.json"), JSON.stringify(json(0)));
  const [difference] = await compare(temporary, "jax-in21k");
  expect(difference).toBeLessThan(TOLERANCE * 10);
  await writeFile(join(temporary, "config.json"), JSON.stringify(json(5)));
  const model = await openModel(join(temporary, "x.npz"), { runtime });
  expect(model.head).toMatchObject({ in: 6, out: 5, pretrained: true });
});

test("what is dropped is noted: the tanh layer and the head on it, and tensors of unknown names", async () => {
  const notesOf = async (path: string) => (await openModel(path, { runtime })).checkpoint.notes;
  const in21k = `${fixtures}jax-in21k.npz`;
  const why =
    "The tanh layer pre_logits is not part of timm's models; a head that was trained on it cannot be used without.";
  expect(await notesOf(in21k)).toEqual([
    `${in21k}: these tensors are not used: head/kernel, head/bias, pre_logits/kernel, pre_logits/bias. ${why}`,
  ]);
  // With a config that asks for the head, as the test above left it.
  const path = join(temporary, "x.npz");
  expect(await notesOf(path)).toEqual([
    `${path}: these tensors are not used: pre_logits/kernel, pre_logits/bias. ${why}`,
  ]);
  for (const name of ["original", "mean", "class", "map"])
    expect(await notesOf(`${fixtures}jax-${name}.npz`), name).toEqual([]);

  const folder = await openWeightsFolder(`${fixtures}jax-original.npz`);
  const checkpoint = await openCheckpoint(folder);
  const tensors = new Map(checkpoint.tensors).set("opt/momentum", checkpoint.tensors.get("cls")!);
  expect(fromJax({ ...checkpoint, tensors }, undefined, "x.npz").checkpoint.notes).toEqual([
    "x.npz: these tensors are not used: opt/momentum.",
  ]);
});

test.each(["cls", "Transformer/encoderblock_0/MlpBlock_3/Dense_0/kernel"])(
  "a changed byte of %s is told before anything is computed, whether the array is mapped or rearranged",
  async (name) => {
    const original = await openWeightsFolder(`${fixtures}jax-original.npz`);
    const { offset } = (await openCheckpoint(original)).tensors.get(name)!;
    const bytes = await readFile(`${fixtures}jax-original.npz`);
    bytes[offset + 2]! ^= 1;
    const path = join(temporary, "changed.npz");
    await writeFile(path, bytes);
    const config = join(temporary, "own.json");
    const { config: own } = fromJax(await openCheckpoint(original), undefined, "");
    await writeFile(config, JSON.stringify(own.json));
    const model = await openModel(path, { runtime, config });
    await expect(runtime.open(adaptedGraph(model, { head: "frozen" }))).rejects.toMatchObject({
      code: "FILE",
      message:
        `${path}: not a valid ZIP archive: the bytes of "${name}.npy" do not have its checksum: they were changed or lost. ` +
        "Fetch or export it again.",
    });
  },
);

test("tensors that are missing or misshapen are told together, by JAX's names; a hybrid is refused", async () => {
  const folder = await openWeightsFolder(`${fixtures}jax-original.npz`);
  const { tensors } = await openCheckpoint(folder);
  const opened = (change: (all: Map<string, unknown>) => void) => () => {
    const all = new Map(tensors);
    change(all);
    return fromJax({ tensors: all, files: ["x.npz"], notes: [] }, undefined, "x.npz");
  };
  const shaped = (name: string, shape: number[]) => ({ ...tensors.get(name)!, shape });
  const attention = "Transformer/encoderblock_1/MultiHeadDotProductAttention_1";
  expect(
    opened((all) => {
      all.delete("Transformer/encoder_norm/bias");
      all.set(`${attention}/key/kernel`, shaped(`${attention}/key/kernel`, [6, 5]));
    }),
  ).toThrow(
    "x.npz: not a whole checkpoint of a ViT:\n" +
      `  - misshapen: ${attention}/key/kernel [6,5], 36 elements are expected\n` +
      "  - missing: Transformer/encoder_norm/bias",
  );
  const positions = "Transformer/posembed_input/pos_embedding";
  expect(opened((all) => all.set(positions, shaped(positions, [1, 12, 6])))).toThrow("has 12 places, no square");
  expect(opened((all) => all.set("conv_root/kernel", shaped("cls", [1])))).toThrow("is a hybrid of ResNet and ViT");
});
