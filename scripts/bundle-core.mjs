// Bundles glora/web for a page that has no bundler: one file, to be served beside ONNX Runtime's own (docs/browser.md).
//
//     node scripts/bundle-core.mjs [FILE]
//
// Without a file the result is thrown away: a Node import that slips into the core fails all the same.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { build } from "esbuild";

const [file] = process.argv.slice(2);
const { outputFiles } = await build({
  entryPoints: ["src/web.ts"],
  bundle: true,
  write: false,
  outfile: "web.bundle.js",
  format: "esm",
  platform: "browser",
  target: "es2022",
  // ONNX Runtime's threads start from a script of its own, which therefore stays outside.
  conditions: ["onnxruntime-web-use-extern-wasm"],
  minify: file !== undefined,
  logLevel: "error",
});
const [{ contents }] = outputFiles;
if (file !== undefined) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, contents);
}
console.log(`${file ?? "core bundle"}: ${(contents.length / 1024).toFixed(0)} KiB`);
