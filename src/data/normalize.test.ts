import { expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import { normalizer } from "./normalize.js";

test("every 8-bit value becomes torchvision's float32, to the bit", () => {
  const { mean, std, result } = fixtures.normalized;
  const spec = {
    kind: "image",
    resize: { mode: "exact", height: 16, width: 16 },
    interpolation: "bicubic",
    rescale: 1 / 255,
    mean,
    std,
    channels: 3,
  } as const;
  const data = Uint8Array.from({ length: 3 * 256 }, (_, i) => Math.floor(i / 3));
  const out = new Float32Array(2 + 3 * 256);
  normalizer(spec)({ width: 16, height: 16, channels: 3, data }, out, 2);
  expect(out.subarray(2)).toEqual(new Float32Array(bytes(result).buffer));
});
