import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { openFolder } from "../formats/folder.node.js";
import { headWeights, type Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import { readWeight } from "../models/weights.js";
import { type AdaptedModel, fixedModel, supernet } from "./adapted-model.js";
import { type Adapter, openAdapter } from "./adapter-file.js";
import { saveAdapter } from "./adapter-file.node.js";
import { attachAdapter, imageSizeNote, toAdapter } from "./attach.js";
import { type Inference, inference } from "./inference.js";
import { adapted, baseFolder, expected, openBase, runtime, scratch } from "./merge.fixtures.js";
import { logitsOf, relativeDifference } from "./merge-model.js";
import { createSpace, drawGenome } from "./space.js";

let count = 0;

/** Saves an adapter and opens it again. */
async function reopen(adapter: Adapter) {
  const folder = join(scratch, `adapter-${count++}`);
  await saveAdapter(folder, adapter);
  return openAdapter(await openFolder(folder));
}

async function logitsFor(from: AdaptedModel, library: "timm" | "transformers"): Promise<Float32Array> {
  const { model, graph, feeds } = inference(from);
  return logitsOf(model, graph, { ...(await expected(library)).inputs, ...feeds });
}

const timm = await openBase(baseFolder("timm"));
const bare = await openBase(baseFolder("transformers"));

test.each(["timm", "transformers"] as const)(
  "the adapter from files on %s's model has PyTorch's logits",
  async (library) => {
    const { logits } = await expected(library);
    // Float32 against float64 over two blocks; measured 4e-7.
    expect(relativeDifference(await logitsFor(await adapted(library), library), logits)).toBeLessThan(5e-6);
  },
);

test("what training leaves, saved and attached again, is the same to the bit", async () => {
  const rng = rngStream(8, "attach");
  const space = createSpace(timm.layers, { ranks: [1, 3], layers: ["blocks.0.*", "*.fc2"] });
  const model = timm.withTask({ kind: "classes", labels: ["left", "right"] });
  const trained = fixedModel(model, space, drawGenome(space, rng), rng);
  trained.parameters.forEach((_, i) => {
    trained.parameters[i] = Math.fround(0.1 * rng.normal());
  });
  const facts = { base: { name: "timm", sha256: { "model.safetensors": "ab" } }, training: { steps: 3 } };
  const file = await reopen(toAdapter(trained, facts));
  expect(file.manifest).toMatchObject({ ...facts, labels: ["left", "right"], a: "elementwise" });
  const { kind: _, ...preprocessing } = timm.input;
  expect(file.manifest.preprocessing).toEqual(preprocessing);

  const back = await attachAdapter(timm, file);
  expect(back.parameters).toEqual(trained.parameters);
  expect(back.tensors).toEqual(trained.tensors);
  expect(back.genome).toEqual(trained.genome);
  expect(back.plans).toEqual(trained.plans);
  expect(back.layout).toEqual(trained.layout);
  expect(back.model.labels).toEqual(["left", "right"]);
  expect(await logitsFor(back, "timm")).toEqual(await logitsFor(trained, "timm"));
});

describe("heads", async () => {
  const whole = toAdapter(await adapted("timm"));
  const { labels: _, ...unlabelled } = whole;
  const headless = { ...unlabelled, head: [] };
  const headOf = ({ parameters, headOffset }: AdaptedModel) => parameters.subarray(headOffset);

  test("an adapter without labels brings a head of another count: its outputs are numbered", async () => {
    const found = await attachAdapter(timm, await reopen(unlabelled));
    expect(found.model.labels).toEqual(["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]);
    expect(headOf(found)).toEqual(headOf(await adapted("timm")));
  });

  test("an adapter without labels brings a head of the model's count: the classes are the model's", async () => {
    const head = [
      { name: "head.weight", shape: [3, 12], values: new Float32Array(36).fill(2) },
      { name: "head.bias", shape: [3], values: new Float32Array(3).fill(5) },
    ];
    const found = await attachAdapter(timm, await reopen({ ...unlabelled, head }));
    expect(found.model.labels).toEqual(["one", "two", "three"]);
    expect(headOf(found)).toEqual(Float32Array.from([...new Float32Array(36).fill(2), 5, 5, 5]));
  });

  test("an adapter for the model's own classes may leave the head to it", async () => {
    for (const adapter of [headless, { ...headless, labels: timm.labels! }]) {
      const found = await attachAdapter(timm, await reopen(adapter));
      expect(found.model.labels).toEqual(["one", "two", "three"]);
      expect(headOf(found)).toEqual(await headWeights(timm));
    }
  });

  test("an adapter for other classes must bring one", async () => {
    const other = attachAdapter(timm, await reopen({ ...headless, labels: ["a", "b", "c", "d", "e"] }));
    await expect(other).rejects.toMatchObject({ code: "ADAPTER" });
    await expect(other).rejects.toThrow(
      /is for the classes a, b, c, d, …, which are not those of .*timm, and brings no head for them: it has no tensor head\.weight\./,
    );
    const untrained = attachAdapter(timm.withTask({ kind: "classes", labels: ["a", "b"] }), await reopen(headless));
    await expect(untrained).rejects.toThrow(/brings no head, and that of .*timm is new: nothing has trained it\./);
  });

  test("labels that are not as many as the head's outputs do not fit", async () => {
    const wrong = attachAdapter(timm, await reopen({ ...whole, labels: ["a", "b"] }));
    await expect(wrong).rejects.toThrow(
      "The head's head.weight does not fit: expected head.weight of shape [2, 12], found [4, 12].",
    );
  });

  test("a trunk without a head stays one under an adapter without a head", async () => {
    const { labels: _, ...adapter } = toAdapter(await adapted("transformers"));
    const found = await attachAdapter(bare, await reopen({ ...adapter, head: [] }));
    expect(found.model.head).toBeUndefined();
    expect(headOf(found).length).toBe(0);
    expect((await logitsFor(found, "transformers")).length).toBe(3 * 12); // features of three images
  });
});

describe("image sizes", async () => {
  const open = (imageSize: number) => openModel(baseFolder("timm"), { runtime, imageSize });
  const file = await reopen(toAdapter(await adapted("timm", await open(24))));

  test("an adapter brings its own where none was asked for", async () => {
    expect(timm.imageSize).toEqual([8, 8]);
    expect(file.manifest.imageSize).toEqual([24, 24]);
    const found = await attachAdapter(timm, file);
    const asked = await attachAdapter(await open(24), file);
    expect(found.model.imageSize).toEqual([24, 24]);
    expect(found.model.input).toEqual(asked.model.input);
    const pixels = {
      pixel_values: { dtype: "float32", shape: [1, 3, 24, 24], data: new Float32Array(1728).fill(0.3) },
    };
    const logits = async ({ model, graph, feeds }: Inference) =>
      logitsOf(model, graph, { ...pixels, ...feeds } as never);
    expect(await logits(inference(found))).toEqual(await logits(inference(asked)));
    expect(imageSizeNote(file, timm)).toMatch(/was trained on images of 24 × 24 pixels: these are used, not the 8 × 8/);
    expect(imageSizeNote(file, await open(24))).toBeUndefined();
  });

  test("one that was asked for stays, the model's own too", async () => {
    for (const size of [8, 32]) {
      const base = await open(size);
      expect((await attachAdapter(base, file)).model.imageSize).toEqual([size, size]);
      expect(imageSizeNote(file, base)).toContain(`it now gets the ${size} × ${size} pixels that were asked for.`);
    }
  });

  test("position embeddings are resampled once, whatever sizes lie between", async () => {
    const positions = async (model: Model) => readWeight(model.weights.get("pos_embed")!);
    const between = await timm.resized!([24, 24]);
    const there = await between.resized!([32, 16]);
    expect(await positions(there)).toEqual(await positions(await timm.resized!([32, 16])));
    expect(there.input).toEqual((await timm.resized!([32, 16])).input);
    const back = await between.resized!([8, 8]);
    expect(await positions(back)).toEqual(await positions(timm));
    expect(back.changed).toBeUndefined();
  });
});

test("a supernet is no adapter", () => {
  const net = supernet(timm, createSpace(timm.layers), rngStream(1, "net"));
  expect(() => toAdapter(net)).toThrow("A supernet has no one structure to save as an adapter: search one first.");
});
