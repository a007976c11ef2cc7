import { GloraError } from "../base/errors.js";
import type { ImagePreprocessing } from "./image-spec.js";
import { type Box, cropPixels, type Pixels } from "./pixels.js";
import { resample } from "./resample.js";
import { roundHalfEven } from "./round.js";

/**
 * Resizes and crops an image as the model was evaluated, equal to the bit to torchvision's `Resize` and `CenterCrop` on a
 * PIL image, to timm's `ResizeKeepRatio` ("cover") and to transformers' `center_crop` ("down").
 */
export function preprocess(image: Pixels, spec: ImagePreprocessing): Pixels {
  const [width, height] = resizedSize(image, spec.resize);
  const resized = resample(image, width, height, spec.interpolation);
  return spec.crop ? cropPixels(resized, centerBox(resized, spec.crop)) : resized;
}

/**
 * The size in which every image leaves {@link preprocess}.
 *
 * @throws {GloraError} CONFIG if it would depend on the image: batches need one size
 */
export function outputSize({ resize, crop }: ImagePreprocessing): { readonly height: number; readonly width: number } {
  if (crop) return crop;
  if (resize.mode === "exact") return resize;
  throw new GloraError(
    "CONFIG",
    "The model's preprocessing keeps the shape of an image and does not crop, so images of different shapes do not fit " +
      "into one batch. Give a crop size, or an exact height and width.",
    { resize },
  );
}

function resizedSize({ width, height }: Pixels, resize: ImagePreprocessing["resize"]): readonly [number, number] {
  switch (resize.mode) {
    case "exact":
      return [resize.width, resize.height];
    case "cover": {
      const ratio = Math.min(height / resize.height, width / resize.width);
      return [roundHalfEven(width / ratio), roundHalfEven(height / ratio)];
    }
    case "shortest-edge": {
      const { edge } = resize;
      // torchvision cuts the longer edge's fraction off.
      return width <= height
        ? [edge, Math.trunc((edge * height) / width)]
        : [Math.trunc((edge * width) / height), edge];
    }
  }
}

function centerBox(image: Pixels, crop: NonNullable<ImagePreprocessing["crop"]>): Box {
  const round = crop.rounding === "down" ? Math.floor : roundHalfEven;
  const offset = (size: number, wanted: number): number =>
    wanted > size ? -Math.floor((wanted - size) / 2) : round((size - wanted) / 2);
  const { width, height } = crop;
  return { width, height, left: offset(image.width, width), top: offset(image.height, height) };
}
