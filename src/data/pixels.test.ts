import { expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import { cropPixels, flipPixels, greyPixels } from "./pixels.js";

test("grey is Pillow's to the bit", () => {
  const { width, height, rgb, grey } = fixtures.grey;
  const image = greyPixels({ width, height, channels: 3, data: bytes(rgb) });
  expect(image).toEqual({ width, height, channels: 1, data: bytes(grey) });
});

const image = { width: 3, height: 2, channels: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };

test("a mirror image keeps its channels together and comes back when mirrored again", () => {
  expect([...flipPixels(image).data]).toEqual([3, 2, 1, 6, 5, 4]);
  const rgb = { width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  expect([...flipPixels(rgb).data]).toEqual([4, 5, 6, 1, 2, 3]);
  expect(flipPixels(flipPixels(rgb))).toEqual(rgb);
});

test("what lies outside the image is black", () => {
  expect([...cropPixels(image, { left: 1, top: -1, width: 3, height: 3 }).data]).toEqual([0, 0, 0, 2, 3, 0, 5, 6, 0]);
  expect([...cropPixels(image, { left: 5, top: 0, width: 1, height: 1 }).data]).toEqual([0]);
});
