/** The package's own version. */
import { readFileSync } from "node:fs";

/** From package.json, which lies two folders up in src/ and in dist/. */
export function packageVersion(): string {
  const file = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { version: string }).version;
}
