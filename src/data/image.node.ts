import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { GloraError, messageOf } from "../base/errors.js";
import type { Pixels } from "./pixels.js";

/** File name endings that are read, in lower case. */
export const imageExtensions: ReadonlySet<string> = new Set(["jpg", "jpeg", "png", "webp", "gif", "tif", "tiff"]);

/**
 * Decodes an image file to RGB as `PIL.Image.open(file).convert("RGB")` does, which timm, torchvision and transformers
 * build on: not turned by its EXIF orientation, no colour management, alpha dropped rather than blended, the first frame.
 * Equal to Pillow to the bit, but for 16-bit grey (the high byte is taken, Pillow clips to 255) and the invisible pixels
 * of a GIF (black, Pillow keeps their colour); see docs/images.md.
 *
 * @throws {GloraError} DATA: why the file cannot be decoded, without its name; or the system's error if it cannot be read
 */
export async function decodeImage(file: string): Promise<Pixels> {
  // From memory: sharp takes "[…]" at the end of a file name for options.
  const bytes = await readFile(file);
  if (bytes.length === 0) throw new GloraError("DATA", "the file is empty", { file });
  try {
    return await decode(bytes);
  } catch (error) {
    // libvips keeps one list of messages for all images that are being decoded: what it says may be another's fault.
    const unknown = messageOf(error).includes("unsupported image format");
    const reason = unknown
      ? "no image of a kind that is read, or cut short"
      : "truncated or damaged (or above 268 megapixels)";
    throw new GloraError("DATA", reason, { file }, error);
  }
}

async function decode(bytes: Uint8Array): Promise<Pixels> {
  const image = sharp(bytes, { failOn: "error", ignoreIcc: true });
  const { space } = await image.metadata();
  if (space === "cmyk") {
    const { data, info } = await image.pipelineColourspace("cmyk").toColourspace("cmyk").raw().toBuffer(withInfo);
    return { width: info.width, height: info.height, channels: 3, data: rgbFromCmyk(data) };
  }
  const { data, info } = await image.toColourspace("srgb").removeAlpha().raw().toBuffer(withInfo);
  return { width: info.width, height: info.height, channels: 3, data };
}

const withInfo = { resolveWithObject: true } as const;

/** Pillow's own conversion, without an ink profile: (255 − k)·(255 − ink)/255. */
function rgbFromCmyk(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let i = 0, at = 0; at < rgb.length; i += 4) {
    const light = 255 - cmyk[i + 3]!;
    for (let c = 0; c < 3; c++) {
      const product = cmyk[i + c]! * light + 128;
      rgb[at++] = light - (((product >> 8) + product) >> 8); // division by 255, rounded
    }
  }
  return rgb;
}
