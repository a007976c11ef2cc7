import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { InputSpec, Split } from "./dataset.js";
import { decodeImage } from "./image.node.js";
import { requireImages } from "./image-dataset.js";
import { type ImageSource, ImageSplit } from "./image-split.js";
import { imageTree } from "./image-tree.node.js";
import { dataError } from "./problems.js";

/** Images without labels, for prediction. */
export interface ImageFiles {
  /** Paths relative to the folder, in Python's order. */
  readonly names: readonly string[];
  /** Files whose ending is none that we read. */
  readonly ignored: readonly string[];
  /** Binds the images to a model; they are read batch by batch, labels are −1. */
  prepare(input: InputSpec): Split;
}

/**
 * All images of a folder, to any depth, or one image file.
 *
 * @throws {GloraError} DATA if there are none
 */
export async function imageFiles(path: string): Promise<ImageFiles> {
  const single = await stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
  const folder = single ? dirname(path) : path;
  const tree = single ? { images: [basename(path)], others: [] } : await imageTree(path);
  if (tree.images.length === 0) throw dataError(`There is no image in "${path}".`, []);
  const sources = tree.images.map(
    (name): ImageSource => ({ name, label: -1, decode: () => decodeImage(join(folder, name)) }),
  );
  return {
    names: tree.images,
    ignored: tree.others,
    prepare(input) {
      requireImages(input, path);
      return new ImageSplit(sources, input, { bytes: 0 }); // each image is used once
    },
  };
}
