// Draws a small folder of images, circles/, squares/ and triangles/, for the examples to train on.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { rngStream } from "glora";
import sharp from "sharp";

const SHAPES = {
  circles: (x, y, r) => `<circle cx="${x}" cy="${y}" r="${r}"/>`,
  squares: (x, y, r) => `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}"/>`,
  triangles: (x, y, r) => `<polygon points="${x},${y - r} ${x - r},${y + r} ${x + r},${y + r}"/>`,
};

/** Writes `count` PNG images of each shape below `folder`. */
export async function drawImages(folder, count = 30, seed = 0) {
  const rng = rngStream(seed, "images");
  const colour = (lightness) => `hsl(${rng.int(360)}, 70%, ${lightness}%)`;
  for (const [name, shape] of Object.entries(SHAPES)) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const [x, y, r] = [28 + rng.int(8), 28 + rng.int(8), 16 + rng.int(10)];
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="${colour(85)}"/><g fill="${colour(35)}">${shape(x, y, r)}</g></svg>`;
      await sharp(Buffer.from(svg))
        .png()
        .toFile(join(folder, name, `${i}.png`));
    }
  }
}
