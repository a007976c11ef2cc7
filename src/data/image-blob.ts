import { GloraError, messageOf } from "../base/errors.js";
import type { Pixels } from "./pixels.js";

/**
 * Decodes an image in a browser, by the browser's own decoder, as `PIL.Image.open(file).convert("RGB")` does as far as a
 * browser lets it: not turned by the EXIF orientation of a JPEG, no colour management, the first frame. Alpha is dropped, but
 * pixels that are transparent altogether have lost their colour to the canvas: they are black.
 *
 * @throws {GloraError} DATA: why it cannot be decoded, without a name
 */
export async function decodeImageBlob(blob: Blob): Promise<Pixels> {
  if (blob.size === 0) throw new GloraError("DATA", "the file is empty");
  const unturned = await withoutExif(blob);
  const bitmap = await createImageBitmap(unturned, { colorSpaceConversion: "none", premultiplyAlpha: "none" }).catch(
    (thrown: unknown) => {
      const reason = `no image of a kind that this browser reads, or damaged (${messageOf(thrown)})`;
      throw new GloraError("DATA", reason, {}, thrown);
    },
  );
  try {
    const { width, height } = bitmap;
    const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
    canvas.drawImage(bitmap, 0, 0);
    const rgba = canvas.getImageData(0, 0, width, height).data;
    const data = new Uint8Array(3 * width * height);
    for (let from = 0, to = 0; to < data.length; from++) if (from % 4 < 3) data[to++] = rgba[from]!;
    return { width, height, channels: 3, data };
  } finally {
    bitmap.close();
  }
}

const [APP1, START_OF_SCAN] = [0xe1, 0xda];

/**
 * A JPEG without its EXIF segments, which browsers turn images by; anything else as it is.
 * @see ITU-T T.81, annex B.1.1: after the first two bytes, segments of 0xff, a marker, and a length that counts itself
 */
async function withoutExif(blob: Blob): Promise<Blob> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return blob;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let kept = 0;
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== START_OF_SCAN) {
    const end = at + 2 + bytes[at + 2]! * 256 + bytes[at + 3]!;
    const isExif = bytes[at + 1] === APP1 && String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === "Exif";
    if (isExif) {
      parts.push(bytes.subarray(kept, at));
      kept = end;
    }
    at = end;
  }
  return new Blob([...parts, bytes.subarray(kept)], { type: blob.type });
}
