// Writes the README's first JavaScript snippet to FOLDER/snippet.mjs and its commands to FOLDER/commands.sh, with what they
// open beside them: models/vit, flowers, photos.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { embeddedModel } from "glora";
import { drawImages } from "../examples/images.mjs";

const folder = process.argv[2];
const readme = readFileSync("README.md", "utf8");
const snippet = /```js\n([\s\S]*?)```/.exec(readme)?.[1];
const commands = /```sh\n(npx glora[\s\S]*?)```/.exec(readme)?.[1];
if (!folder || !snippet || !commands)
  throw new Error(
    "usage: node scripts/readme-snippet.mjs FOLDER; README.md must hold a js snippet and npx glora commands",
  );
cpSync(embeddedModel, join(folder, "models/vit"), { recursive: true });
await drawImages(join(folder, "flowers"));
cpSync(join(folder, "flowers/circles"), join(folder, "photos"), { recursive: true });
writeFileSync(join(folder, "snippet.mjs"), snippet);
writeFileSync(join(folder, "commands.sh"), commands);
