import { fileURLToPath } from "node:url";
import type { Dataset, SplitName } from "./dataset.js";
import { decodeImage } from "./image.node.js";
import { imageDataset } from "./image-dataset.js";
import type { ImageSource } from "./image-split.js";
import { cropPixels, type Pixels } from "./pixels.js";

/** Images of each digit in a split; see data/digits/README.md. */
const counts: Record<SplitName, number> = { train: 100, validation: 40, test: 60 };
const tile = 28;

/** The handwritten digits that come with the package: 10 classes, 28 × 28, 1,000 / 400 / 600 images. */
export function digits(): Dataset {
  const labels = Array.from({ length: 10 }, (_, digit) => String(digit));
  const split = (name: SplitName): ImageSource[] => {
    let sheet: Promise<Pixels> | undefined;
    const image = async (row: number, column: number): Promise<Pixels> => {
      sheet ??= decodeImage(fileURLToPath(new URL(`../../data/digits/${name}.png`, import.meta.url)));
      return cropPixels(await sheet, { left: column * tile, top: row * tile, width: tile, height: tile });
    };
    return labels.flatMap((digit, label) =>
      Array.from({ length: counts[name] }, (_, i) => ({
        name: `${name}/${digit}/${i}`,
        label,
        decode: () => image(label, i),
      })),
    );
  };
  return imageDataset({
    name: "digits",
    labels,
    splits: { train: split("train"), validation: split("validation"), test: split("test") },
    describe: () => ({ kind: "digits", counts }),
  });
}
