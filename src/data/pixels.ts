/** A decoded image: 8 bits a channel, rows from the top, channels interleaved (HWC). */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** 1 (grey) or 3 (RGB). */
  readonly channels: number;
  readonly data: Uint8Array;
}

/** A rectangle of whole pixels; it may reach beyond the image. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The part of an image inside a box; what lies outside the image is black, as in torchvision. */
export function cropPixels(image: Pixels, box: Box): Pixels {
  const { width, height, left, top } = box;
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  const from = Math.max(0, left);
  const to = Math.min(image.width, left + width);
  for (let y = Math.max(0, -top); y < Math.min(height, image.height - top) && from < to; y++) {
    const row = (top + y) * image.width;
    data.set(image.data.subarray((row + from) * channels, (row + to) * channels), (y * width + from - left) * channels);
  }
  return { width, height, channels, data };
}

/** The mirror image, left for right. */
export function flipPixels(image: Pixels): Pixels {
  const { width, height, channels } = image;
  const data = new Uint8Array(image.data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        data[(y * width + x) * channels + c] = image.data[(y * width + width - 1 - x) * channels + c]!;
  return { width, height, channels, data };
}

/** Grey from RGB, as Pillow's `convert("L")`: ITU-R 601-2 luma in 16-bit fixed point. */
export function greyPixels({ width, height, data }: Pixels): Pixels {
  const luma = (_: unknown, i: number): number =>
    (19595 * data[3 * i]! + 38470 * data[3 * i + 1]! + 7471 * data[3 * i + 2]! + 0x8000) >> 16;
  return { width, height, channels: 1, data: Uint8Array.from({ length: width * height }, luma) };
}
