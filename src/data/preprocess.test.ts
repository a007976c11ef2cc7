import { expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import type { ImagePreprocessing } from "./image-spec.js";
import { outputSize, preprocess } from "./preprocess.js";

const rest = {
  kind: "image",
  interpolation: "bicubic",
  rescale: 1 / 255,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  channels: 3,
} as const;

test.each(
  fixtures.preprocessed.map((c) => [`${c.width} × ${c.height}, ${JSON.stringify([c.resize, c.crop])}`, c] as const),
)(
  "%s is torchvision's, timm's or transformers' to the bit",
  (_name, { resize, crop, width, height, rgb, result, resultWidth, resultHeight }) => {
    const spec: ImagePreprocessing = { ...rest, resize, ...(crop ? { crop } : {}) };
    const image = preprocess({ width, height, channels: 3, data: bytes(rgb) }, spec);
    expect(image).toEqual({ width: resultWidth, height: resultHeight, channels: 3, data: bytes(result) });
    expect(outputSize(spec)).toMatchObject({ width: resultWidth, height: resultHeight });
  },
);

test("a size that depends on the image is refused", () => {
  expect(() => outputSize({ ...rest, resize: { mode: "shortest-edge", edge: 32 } })).toThrow(
    /keeps the shape of an image and does not crop.*Give a crop size/,
  );
});
