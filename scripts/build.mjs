// Compiles src/ to dist/ and makes the command executable.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
// An installed package carries dist/ ready made and no compiler.
if (existsSync("src")) {
  rmSync("dist", { recursive: true, force: true });
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: "inherit",
  });
  execFileSync(process.execPath, ["scripts/bundle-core.mjs", "dist/web.bundle.js"], { stdio: "inherit" });
  for (const file of ["dist/cli/main.js"]) if (existsSync(file)) chmodSync(file, 0o755);
}
