/** The whole way with weights that are no .safetensors: opened, compared with PyTorch's logits, adapted and merged. */
import { copyFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { openFile } from "../formats/file.node.js";
import { readFloat32, readSafetensors } from "../formats/safetensors.js";
import type { Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import { adaptedGraph } from "./adapted-graph.js";
import { fixedModel } from "./adapted-model.js";
import { mergeModel } from "./export.node.js";
import { inference } from "./inference.js";
import { logitsOf, relativeDifference } from "./merge-model.js";
import { createSpace, largestGenome } from "./space.js";

const runtime = await createNodeRuntime();
const temporary = await mkdtemp(join(tmpdir(), "glora-weight-files-"));
afterAll(async () => {
  await runtime.dispose();
  await rm(temporary, { recursive: true });
});

// Written by torch.save, numpy.savez and timm: scripts/fixtures/weight-files.py.
const fixtures = "test/fixtures/weight-files/";
const open = (path: string): Promise<Model> => openModel(path, { runtime });

async function reference(name: string): Promise<{ inputs: Record<string, Tensor>; logits: Float32Array }> {
  const { tensors } = await readSafetensors(await openFile(`${fixtures}${name}.reference.safetensors`));
  const { shape } = tensors.get("pixel_values")!;
  const data = await readFloat32(tensors.get("pixel_values")!);
  return {
    inputs: { pixel_values: { dtype: "float32", shape, data } },
    logits: await readFloat32(tensors.get("logits")!),
  };
}

const plainLogits = (model: Model, inputs: Record<string, Tensor>) =>
  logitsOf(model, adaptedGraph(model, { head: "frozen" }), inputs);

test("PyTorch's shards give timm's logits, mapped where they lie", async () => {
  const model = await open(`${fixtures}timm`);
  const { inputs, logits } = await reference("timm");
  // float32 through two blocks against PyTorch in float64.
  expect(relativeDifference(await plainLogits(model, inputs), logits)).toBeLessThan(5e-6);
  expect([...model.checkpoint.tensors.values()].every(({ source }) => source.path?.endsWith(".bin"))).toBe(true);
});

test.each([
  [
    "timm",
    `${fixtures}timm`,
    ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"],
  ],
  ["jax-original", `${fixtures}jax-original.npz`, ["model.safetensors"]],
  ["jax-mean", `${fixtures}jax-mean.npz`, ["model.safetensors"]],
])(
  "%s: adapted and merged it is a folder of .safetensors with the adapted model's logits",
  async (name, path, files) => {
    const model = await open(path);
    const space = createSpace(model.layers);
    const rng = rngStream(3, name);
    const adapted = fixedModel(model, space, largestGenome(space), rng);
    for (let i = 0; i < adapted.parameters.length; i++) adapted.parameters[i]! += 0.1 * rng.normal();
    const { inputs, logits } = await reference(name);
    const out = join(temporary, name);
    const { storage } = await mergeModel(adapted, out, { inputs });
    expect(storage).toBe(0);
    const written = await readdir(out);
    expect(written.filter((file) => file.startsWith("model"))).toEqual(files);

    const merged = await open(out);
    expect([...merged.checkpoint.tensors.keys()].sort()).toEqual([...model.checkpoint.tensors.keys()].sort());
    const found = await plainLogits(merged, inputs);
    const { graph, feeds } = inference(adapted);
    // Merged in float32, summed in another order.
    expect(relativeDifference(found, await logitsOf(model, graph, { ...inputs, ...feeds }))).toBeLessThan(1e-5);
    expect(relativeDifference(found, logits)).toBeGreaterThan(0.01); // the adapter does something
  },
);

test("one file of several in a folder is opened by its own path, and is what a run notes", async () => {
  for (const file of ["jax-original.npz", "jax-class.npz", "plain.pth"])
    await copyFile(fixtures + file, join(temporary, file));
  const path = join(temporary, "jax-class.npz");
  const model = await open(path);
  expect([model.name, model.checkpoint.files]).toEqual([path, ["jax-class.npz"]]);
  expect((await open(model.folder.path!)).checkpoint.files).toEqual(["jax-class.npz"]);
  await expect(open(temporary)).rejects.toThrow(
    `${temporary}: holds 3 files of weights, jax-class.npz, jax-original.npz, plain.pth, and none is called model.safetensors.`,
  );
  await expect(open(join(temporary, "plain.pth"))).rejects.toThrow("has no config.json");
  await expect(open(join(temporary, "none.pth"))).rejects.toThrow("none.pth: no such folder");
  const text = "scripts/fixtures/weight-files.py";
  expect((await readFile(text)).length).toBeGreaterThan(0);
  await expect(open(text)).rejects.toThrow(
    `${text}: is not a model's folder, nor a file of weights (.safetensors, .bin, .pth, .pt, .npz).`,
  );
});
