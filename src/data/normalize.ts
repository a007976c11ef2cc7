import type { ImagePreprocessing } from "./image-spec.js";
import type { Pixels } from "./pixels.js";

/**
 * The last step of preprocessing: (rescale · value − mean) / std for each channel, 8-bit HWC to float32 CHW.
 *
 * Rounded to float32 after each operation, as torchvision's `ToTensor` and `Normalize` do: equal to theirs to the bit.
 *
 * @returns a function that writes one image into `out`, from `offset` on
 */
export function normalizer(spec: ImagePreprocessing): (image: Pixels, out: Float32Array, offset: number) => void {
  const { fround } = Math;
  // An 8-bit value has 256 results: look them up.
  const tables = Array.from({ length: spec.channels }, (_, c) => {
    const mean = fround(spec.mean[c]!);
    const std = fround(spec.std[c]!);
    return Float32Array.from({ length: 256 }, (_, value) => fround(fround(value * spec.rescale) - mean) / std);
  });
  return ({ width, height, channels, data }, out, offset) => {
    const plane = width * height;
    for (let c = 0; c < channels; c++) {
      const table = tables[c]!;
      for (let i = 0, at = offset + c * plane; i < plane; i++) out[at + i] = table[data[i * channels + c]!]!;
    }
  };
}
