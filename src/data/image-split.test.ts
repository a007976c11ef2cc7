import { expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import { rngStream } from "../base/rng.js";
import type { Augmentation } from "./augment.js";
import { checkSplits, type ImageSource, ImageSplit } from "./image-split.js";
import { greyPixels, type Pixels } from "./pixels.js";

const picture: Pixels = { width: 12, height: 8, channels: 3, data: bytes(fixtures.grey.rgb) };
const spec = {
  kind: "image",
  resize: { mode: "shortest-edge", edge: 8 },
  crop: { height: 8, width: 8 },
  interpolation: "bicubic",
  rescale: 1 / 255,
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.3, 0.4],
  channels: 3,
} as const;

let decoded = 0;
/** Four pictures that differ; later ones are there sooner. */
const sources: ImageSource[] = [0, 1, 2, 3].map((i) => ({
  name: `image ${i}`,
  label: i % 2,
  async decode() {
    decoded++;
    await new Promise((done) => setTimeout(done, 4 * (4 - i)));
    return { ...picture, data: picture.data.map((value) => value >> i) };
  },
}));
const all = [0, 1, 2, 3];
const values = async (split: ImageSplit, indices: number[], seed?: number) => {
  const options = seed === undefined ? {} : { rng: rngStream(seed, "augment") };
  return (await split.inputs(indices, options))["pixel_values"]!.data as Float32Array;
};

test("a batch holds the asked images in the asked order, channels first", async () => {
  const split = new ImageSplit(sources, spec, { bytes: 0 });
  const batch = await values(split, [2, 0]);
  expect(batch.subarray(0, 192)).toEqual(await values(split, [2]));
  expect(batch.subarray(192)).toEqual(await values(split, [0]));
  // The crop's first pixel: 8 of 12 columns, so 2 are cut off at the left.
  for (const c of [0, 1, 2]) {
    const expected = (picture.data[2 * 3 + c]! / 255 - spec.mean[c]!) / spec.std[c]!;
    expect(batch[192 + c * 64]).toBeCloseTo(expected, 5); // float32
  }
});

test("images are decoded once while memory lasts, and are the same without", async () => {
  const kept = new ImageSplit(sources, spec, { bytes: 2 * 192 });
  decoded = 0;
  await checkSplits([kept], {});
  const first = await values(kept, all);
  expect(decoded).toBe(4 + 2); // two of four fit
  expect(await values(new ImageSplit(sources, spec, { bytes: 0 }), all)).toEqual(first);
});

const augment: Augmentation = { flip: 0.5, crop: { scale: [0.3, 0.9], ratio: [0.75, 1.5] } };

test.each([
  ["flips", { flip: 0.5 }],
  ["crops", { crop: augment.crop! }],
  ["both", augment],
] as const)(
  "augmentation by %s repeats with its seed, with or without memory, and is off without chance",
  async (_name, chosen) => {
    const split = (bytes: number) => new ImageSplit(sources, spec, { bytes }, chosen);
    const plain = await values(new ImageSplit(sources, spec, { bytes: 0 }), all);
    const once = await values(split(0), all, 5);
    expect(await values(split(1e6), all, 5)).toEqual(once);
    expect(await values(split(0), all, 8)).not.toEqual(once);
    expect(once).not.toEqual(plain);
    expect(await values(split(0), all)).toEqual(plain);
  },
);

test("a model of one channel gets grey", async () => {
  const grey = { ...spec, mean: [0], std: [1], channels: 1 };
  const batch = (await new ImageSplit(sources, grey, { bytes: 0 }).inputs([0]))["pixel_values"]!;
  expect(batch.shape).toEqual([1, 1, 8, 8]);
  expect(batch.data[0]).toBeCloseTo(greyPixels(picture).data[2]! / 255, 6);
});

test("an empty batch, and an interruption", async () => {
  const split = new ImageSplit(sources, spec, { bytes: 0 });
  expect((await split.inputs([]))["pixel_values"]!.shape).toEqual([0, 3, 8, 8]);
  const controller = new AbortController();
  const work = split.inputs(all, { signal: controller.signal });
  controller.abort();
  await expect(work).resolves.toBeDefined(); // all four were under way
  await expect(split.inputs(all, { signal: controller.signal })).rejects.toMatchObject({ code: "ABORTED" });
  await expect(checkSplits([split], { signal: controller.signal })).rejects.toMatchObject({ code: "ABORTED" });
});
