import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { adaptedGraph, INPUTS } from "../../adapters/adapted-graph.js";
import type { Tensor } from "../../base/tensor.js";
import { openFile } from "../../formats/file.node.js";
import { openFolder } from "../../formats/folder.node.js";
import { readBytes, readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { createNodeRuntime } from "../../runtime/node/node-runtime.node.js";
import type { Model } from "../model.js";
import { openModelFolder } from "../open.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const fixtures = fileURLToPath(new URL("../../../test/fixtures/vit/", import.meta.url));
const openModel = async (folder: string): Promise<Model> => openModelFolder(await openFolder(folder), runtime);
const float32 = (data: Float32Array, ...shape: number[]): Tensor => ({ dtype: "float32", shape, data });
const largest = (values: Float32Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);

/** Logits or features, the loss and the gradient of every weight. */
async function run(model: Model, pixels: Tensor, given: Record<string, Tensor>): Promise<Map<string, Float32Array>> {
  const fitted = await model.fitInputs({ pixel_values: pixels });
  const graph = adaptedGraph(fitted, {
    head: "frozen",
    loss: { kind: INPUTS.targets in given ? "mse" : "cross-entropy" },
    weightGradients: () => true,
  });
  const session = await runtime.open(graph);
  const images = pixels.shape[0]!;
  const feeds = {
    pixel_values: pixels,
    ...given,
    [INPUTS.rowWeights]: float32(new Float32Array(images).fill(1 / images), images),
  };
  const found = await session.run(feeds);
  await session.dispose();
  return new Map(Object.entries(found).map(([name, { data }]) => [name, data as Float32Array]));
}

/** `grad.blocks.0.attn.qkv.weight` belongs to the layer `grad.blocks.0.attn.qkv`. */
const layerOf = (name: string): string => name.replace(/\.(weight|bias)$/, "");

/** Of each gradient the reference holds its largest absolute value, then elements at equal steps. */
function expectGradients(
  found: ReadonlyMap<string, Float32Array>,
  reference: ReadonlyMap<string, ArrayLike<number>>,
): void {
  const largestOf = new Map<string, number>();
  for (const [name, sample] of reference) {
    const layer = layerOf(name);
    largestOf.set(layer, Math.max(largestOf.get(layer) ?? 0, sample[0]!));
  }
  for (const [name, sample] of reference) {
    const gradient = found.get(name)!;
    const step = Math.ceil(gradient.length / 24);
    const own = gradient.filter((_, i) => i % step === 0);
    expect(own.length, name).toBe(sample.length - 1);
    const worst = largest(own.map((value, i) => value - sample[i + 1]!));
    // float32 through a few blocks; measured 2e-6 of the tensor's largest gradient. Where that is nothing beside its
    // layer's it is zero in exact arithmetic (a key's bias), and what is left is rounding: PyTorch's own is as large.
    const ofLayer = 1e-2 * largestOf.get(layerOf(name))!;
    const tolerance = Math.max(1e-5 * sample[0]!, 1e-4 * ofLayer);
    expect(worst, name).toBeLessThan(tolerance);
    expect(Math.abs(largest(gradient) - sample[0]!), name).toBeLessThan(tolerance);
  }
}

// Written by scripts/fixtures/vit.py and vit-transformers.py.
const cases = ["", "../vit-transformers/"].flatMap((folder) =>
  readdirSync(fixtures + folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [folder + entry.name] : [],
  ),
);

test("the fixtures are there", () => {
  expect(cases).toHaveLength(17 + 13);
});

describe.each(cases)("%s", (name) => {
  test("outputs, loss and the gradient of every weight are PyTorch's", async () => {
    const model = await openModel(fixtures + name);
    const { tensors } = await readSafetensors(await openFile(`${fixtures}${name}/reference.safetensors`));
    const values = async (tensor: string): Promise<Float32Array> => readFloat32(tensors.get(tensor)!);
    const pixels = float32(await values("pixel_values"), ...tensors.get("pixel_values")!.shape);
    const output = model.head ? "logits" : "features";
    const reference = await values(output);

    const given: Record<string, Tensor> = {};
    if (tensors.has("labels")) {
      const bytes = await readBytes(tensors.get("labels")!);
      const labels = Int32Array.from(new BigInt64Array(bytes.slice().buffer), Number);
      given[INPUTS.labels] = { dtype: "int32", shape: [labels.length], data: labels };
    } else {
      const targets = tensors.has("targets") ? await values("targets") : new Float32Array(reference.length);
      given[INPUTS.targets] = float32(targets, ...tensors.get(output)!.shape);
    }
    if (model.head) expect(model.loss).toBe(tensors.has("labels") ? "cross-entropy" : "mse");

    const found = await run(model, pixels, given);
    // float32 through at most three blocks; measured 1e-6. The two GELUs differ by more.
    expect(largest(found.get(output)!.map((v, i) => v - reference[i]!)) / largest(reference)).toBeLessThan(1e-5);
    const [loss] = await values("loss");
    expect(Math.abs(found.get("loss")![0]! - loss!) / Math.abs(loss!)).toBeLessThan(1e-5);
    const names = [...tensors.keys()].filter((tensor) => tensor.startsWith("grad."));
    expect([...found.keys()].filter((key) => key.startsWith("grad.")).sort()).toEqual(names.sort());
    expectGradients(found, new Map(await Promise.all(names.map(async (n) => [n, await values(n)] as const))));
  });
});

test("labels are those of the config", async () => {
  for (const name of ["timm-token", "transformers"])
    expect((await openModel(fixtures + name)).labels).toEqual(["ant", "bee", "cat"]);
  expect((await openModel(`${fixtures}transformers-in-memory`)).labels).toEqual(["LABEL_0", "LABEL_1"]);
  expect((await openModel(`${fixtures}timm-resized`)).labels).toBeUndefined();
});

test("images of another kind or below the size of a patch are refused", async () => {
  const model = await openModel(`${fixtures}timm-token`);
  const fit = (...shape: number[]) =>
    model.fitInputs({ pixel_values: float32(new Float32Array(shape.reduce((a, n) => a * n)), ...shape) });
  await expect(fit(1, 1, 16, 16)).rejects.toThrow(
    "pixel_values: float32 [images, 3, height, width] expected, found float32 [1, 1, 16, 16].",
  );
  await expect(model.fitInputs({})).rejects.toThrow("expected, found nothing.");
  await expect(fit(1, 3, 3, 16)).rejects.toThrow("Images of 3×16 are smaller than a patch of 4×4.");
  expect(await fit(5, 3, 16, 16)).toBe(model);
});

test("a new head replaces the old one: its labels, its shape, none of its weights", async () => {
  const model = await openModel(`${fixtures}transformers`);
  const fresh = model.withTask({ kind: "classes", labels: ["x", "y"] });
  expect(fresh.head).toMatchObject({
    layers: [{ name: "classifier", in: 24, out: 2 }],
    trained: true,
    pretrained: false,
  });
  expect(fresh.labels).toEqual(["x", "y"]);
  expect([...model.weights.keys()].filter((name) => !fresh.weights.has(name)).sort()).toEqual([
    "classifier.bias",
    "classifier.weight",
  ]);
});

test("the loss of a new head is its library's own: one output is a regression to transformers alone", async () => {
  const lossOf = async (name: string, labels: string[]) =>
    (await openModel(fixtures + name)).withTask({ kind: "classes", labels: labels }).loss;
  expect(await lossOf("transformers", ["only"])).toBe("mse");
  expect(await lossOf("transformers-resized-regression", ["only"])).toBe("mse");
  expect(await lossOf("transformers-resized-regression", ["x", "y"])).toBe("cross-entropy");
  expect(await lossOf("timm-token", ["only"])).toBe("cross-entropy");
});

interface Pretrained {
  readonly labels: readonly number[];
  readonly logits: readonly number[];
  readonly loss: number;
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}
const pretrained: Readonly<Record<string, Pretrained>> = JSON.parse(
  readFileSync(`${fixtures}pretrained.fixtures.json`, "utf8"),
);

describe.each([
  { name: "vit-micro", folder: "../../../models/vit-micro" },
  { name: "deit-tiny", folder: "../../../../shared/data/models/deit-tiny" },
])("$name", ({ name, folder }) => {
  const path = fileURLToPath(new URL(folder, import.meta.url));
  const there = existsSync(path);
  test.skipIf(!there)(
    `logits, loss and gradients are timm's${there ? "" : ` (skipped: ${path} is missing)`}`,
    async () => {
      const model = await openModel(path);
      const { labels, logits, loss, gradients } = pretrained[name]!;
      const [height, width] = name === "vit-micro" ? [32, 32] : [224, 224];
      const pixels = Float32Array.from({ length: 2 * 3 * height * width }, (_, i) => Math.sin(0.37 * i));
      const given = { [INPUTS.labels]: { dtype: "int32", shape: [2], data: Int32Array.from(labels) } as const };
      const found = await run(model, float32(pixels, 2, 3, height, width), given);
      expectGradients(
        found,
        new Map([["logits", logits], ...Object.entries(gradients).map(([n, g]) => [`grad.${n}`, g] as const)]),
      );
      expect(Math.abs(found.get("loss")![0]! / loss - 1)).toBeLessThan(1e-5);
    },
  );
});

test("a distilled model gets two new heads", async () => {
  const model = await openModel(`${fixtures}timm-deit-distilled`);
  const fresh = model.withTask({ kind: "classes", labels: ["x", "y", "z"] });
  const layer = { in: 16, out: 3, bias: true };
  expect(fresh.head).toMatchObject({
    layers: [
      { name: "head", ...layer },
      { name: "head_dist", ...layer },
    ],
    in: 32,
    out: 3,
  });
  const heads = ["head.weight", "head.bias", "head_dist.weight", "head_dist.bias"];
  expect([...model.weights.keys()].filter((name) => !fresh.weights.has(name)).sort()).toEqual(heads.sort());
});
