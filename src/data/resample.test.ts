import { expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import { resample } from "./resample.js";

test.each(
  fixtures.resampled.map((c) => [`${c.interpolation} ${c.channels} × 13 × 17 → ${c.width} × ${c.height}`, c] as const),
)("%s is Pillow's to the bit", (_name, { interpolation, channels, width, height, result }) => {
  const source = bytes(fixtures.resampledSources[channels]);
  const image = resample({ width: 13, height: 17, channels, data: source }, width, height, interpolation);
  expect(image).toEqual({ width, height, channels, data: bytes(result) });
});
