import type { Rng } from "../base/rng.js";
import type { ImagePreprocessing } from "./image-spec.js";
import { type Box, cropPixels, flipPixels, type Pixels } from "./pixels.js";
import { outputSize } from "./preprocess.js";
import { resample } from "./resample.js";
import { roundHalfEven } from "./round.js";

/** Random changes of the training images; what is absent is left out. */
export interface Augmentation {
  /** Probability that an image is mirrored, left for right. */
  readonly flip?: number;
  /** A random part of the image, resized to the model's size: takes the place of resize and centre crop. */
  readonly crop?: RandomCrop;
}

export interface RandomCrop {
  /** The part's share of the image's area, from … to; usual: 0.08 … 1. */
  readonly scale: readonly [number, number];
  /** Width / height of the part, from … to; usual: 3/4 … 4/3. */
  readonly ratio: readonly [number, number];
}

/** A random part of a decoded image in the model's size. */
export function randomPart(image: Pixels, spec: ImagePreprocessing, crop: RandomCrop, rng: Rng): Pixels {
  const { width, height } = outputSize(spec);
  return resample(cropPixels(image, randomCropBox(image, crop, rng)), width, height, spec.interpolation);
}

/** An image, mirrored with this probability. */
export const randomFlip = (image: Pixels, probability: number, rng: Rng): Pixels =>
  rng.uniform() < probability ? flipPixels(image) : image;

/**
 * The part of an image that a random-resized crop takes: area and shape drawn (the shape's logarithm uniformly), ten
 * tries, then the largest centred part of an allowed shape.
 *
 * @see torchvision, RandomResizedCrop.get_params
 */
export function randomCropBox(image: Pick<Pixels, "width" | "height">, crop: RandomCrop, rng: Rng): Box {
  const { width, height } = image;
  const [narrow, wide] = crop.ratio;
  const between = (from: number, to: number): number => from + (to - from) * rng.uniform();
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = width * height * between(...crop.scale);
    const ratio = Math.exp(between(Math.log(narrow), Math.log(wide)));
    const w = roundHalfEven(Math.sqrt(area * ratio));
    const h = roundHalfEven(Math.sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const top = rng.int(height - h + 1);
    return { left: rng.int(width - w + 1), top, width: w, height: h };
  }
  const ratio = width / height;
  const w = ratio > wide ? roundHalfEven(height * wide) : width;
  const h = ratio < narrow ? roundHalfEven(width / narrow) : height;
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h };
}
