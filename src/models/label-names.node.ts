/** Names of well-known classes that come with the package. */
import { readFile } from "node:fs/promises";
import type { LabelSet } from "./parts.js";

/** The names of a set's classes in the order of their numbers; see data/imagenet-1k/README.md. */
export async function labelNames(set: LabelSet): Promise<readonly string[]> {
  const text = await readFile(new URL(`../../data/${set}/names.txt`, import.meta.url), "utf8");
  return text.trimEnd().split("\n");
}
