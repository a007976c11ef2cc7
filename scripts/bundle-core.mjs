// Bundles the core for a browser and throws the result away: a Node import that slips into the core fails here.
import { build } from "esbuild";

const result = await build({
  entryPoints: ["src/web.ts"],
  bundle: true,
  write: false,
  format: "esm",
  platform: "browser",
  target: "es2022",
  logLevel: "error",
});
const bytes = result.outputFiles.reduce((sum, file) => sum + file.contents.length, 0);
console.log(`core bundle: ${(bytes / 1024).toFixed(0)} KiB`);
