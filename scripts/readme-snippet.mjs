// Writes the README's first JavaScript snippet to FOLDER/snippet.mjs, with what it opens beside it: models/vit, flowers.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { embeddedModel } from "glora";
import { drawImages } from "../examples/images.mjs";

const folder = process.argv[2];
const snippet = /```js\n([\s\S]*?)```/.exec(readFileSync("README.md", "utf8"))?.[1];
if (!folder || !snippet)
  throw new Error("usage: node scripts/readme-snippet.mjs FOLDER; README.md must hold a js snippet");
cpSync(embeddedModel, join(folder, "models/vit"), { recursive: true });
await drawImages(join(folder, "flowers"));
writeFileSync(join(folder, "snippet.mjs"), snippet);
