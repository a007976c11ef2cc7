import type { Dataset, SplitName } from "./dataset.js";
import { decodeImageBlob } from "./image-blob.js";
import { imageDataset } from "./image-dataset.js";
import type { ImageSource } from "./image-split.js";
import { dataError } from "./problems.js";
import { asPython } from "./python-order.js";
import { checkShares, type ImageSplitOptions, splitClass } from "./stratify.js";

/** An image that a browser has: a file that was chosen or dropped, or one that was fetched. */
export interface LabelledImage {
  /** What a person calls it: its file, as a rule. */
  readonly name: string;
  /** Its class. */
  readonly label: string;
  readonly image: Blob;
}

/**
 * A data set of images in a browser, split at random (stratified, seeded): as `imageFolder` splits the files
 * `<label>/<file>`, where these are their names. Classes are sorted by name as Python sorts.
 *
 *     const data = labelledImages([...input.files].map((image) => ({ name: image.name, label: labelOf(image), image })));
 *
 * @throws {GloraError} DATA, one error for all that is wrong: fewer than two classes, a class with too few images to split.
 *   Unreadable images are found by `prepare`.
 */
export function labelledImages(images: readonly LabelledImage[], o: ImageSplitOptions = {}): Dataset {
  const share = checkShares(o.split);
  const seed = o.seed ?? 0;
  const labels = [...new Set(images.map(({ label }) => label))].sort(asPython);
  const problems: string[] = [];
  if (labels.length < 2) problems.push(`at least two classes are needed; found ${labels[0] ?? "no images"}`);
  const splits: Record<SplitName, ImageSource[]> = { train: [], validation: [], test: [] };
  labels.forEach((name, label) => {
    const own = images.filter((image) => image.label === name).sort((a, b) => asPython(a.name, b.name));
    const parts = splitClass(name, own, share, seed);
    if (!parts) problems.push(`class "${name}" has ${own.length}, too few to have one in each split; add images`);
    for (const [split, part] of Object.entries(parts ?? {}))
      for (const { name, image } of part)
        splits[split as SplitName].push({ name, label, decode: () => decodeImageBlob(image) });
  });
  if (problems.length > 0) throw dataError("These images cannot be used as a data set:", problems);
  const names = Object.fromEntries(Object.entries(splits).map(([split, all]) => [split, all.map(({ name }) => name)]));
  return imageDataset({
    name: "images",
    labels,
    splits,
    ...(o.memory === undefined ? {} : { memory: o.memory }),
    describe: () => ({ kind: "labelled-images", share, seed, labels, splits: names }),
  });
}
