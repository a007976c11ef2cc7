import { expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import { type Rng, rngStream } from "../base/rng.js";
import { randomCropBox, randomFlip, randomPart } from "./augment.js";
import { flipPixels } from "./pixels.js";

/** Gives numbers that were drawn before. */
function replay(draws: readonly number[]): Rng & { left(): number } {
  let next = 0;
  const uniform = (): number => draws[next++]!;
  return { ...rngStream(0, ""), uniform, int: (n) => Math.floor(uniform() * n), left: () => draws.length - next };
}

test.each(fixtures.randomCrops.map((c, i) => [`${i}: ${c.width} × ${c.height}`, c] as const))(
  "random crop %s is torchvision's for the same draws",
  (_name, { width, height, scale, ratio, draws, box }) => {
    const rng = replay(draws);
    expect(randomCropBox({ width, height }, { scale, ratio }, rng)).toEqual(box);
    expect(rng.left()).toBe(0);
  },
);

const image = { width: 12, height: 8, channels: 3, data: bytes(fixtures.grey.rgb) };

test("flips come with the chosen probability", () => {
  const rng = rngStream(1, "flip");
  const flipped = Array.from({ length: 400 }, () => randomFlip(image, 0.25, rng)).filter((result) => result !== image);
  expect(flipped.length / 400).toBeCloseTo(0.25, 1); // ± 0.05 is 2.3 standard errors of √(0.25 · 0.75 / 400); seeded
  expect(flipped[0]).toEqual(flipPixels(image));
});

test("a random part has the model's size and repeats with its seed", () => {
  const spec = {
    kind: "image",
    resize: { mode: "shortest-edge", edge: 9 },
    crop: { height: 6, width: 7 },
    interpolation: "bilinear",
    rescale: 1 / 255,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    channels: 3,
  } as const;
  const crop = { scale: [0.2, 0.8], ratio: [0.75, 4 / 3] } as const;
  const part = (seed: number) => randomPart(image, spec, crop, rngStream(seed, "part"));
  expect(part(1)).toMatchObject({ width: 7, height: 6, channels: 3 });
  expect(part(1)).toEqual(part(1));
  expect(part(1)).not.toEqual(part(2));
});
