import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Folder } from "../../formats/folder.js";
import { memorySource } from "../../formats/source.js";
import { openTokenizer } from "./open-tokenizer.js";
import type { TextInput } from "./text-input.js";
import type { Tokenizer } from "./tokenizer.js";

/** A compressed fixture of test/fixtures/tokenizers. */
export const readTokenizerFixture = (name: string) =>
  JSON.parse(gunzipSync(readFileSync(`test/fixtures/tokenizers/${name}.json.gz`)).toString());

/** A folder in memory; what is no text is written as JSON. */
export function folderOf(files: Readonly<Record<string, unknown>>): Folder {
  return {
    name: "model",
    list: async () => Object.keys(files),
    open: async (file) => {
      const content = files[file];
      const text = typeof content === "string" ? content : JSON.stringify(content);
      return content === undefined ? undefined : memorySource(`model/${file}`, new TextEncoder().encode(text));
    },
  };
}

/** One of the small tokenizers, with a config. */
export const smallTokenizer = (name: string, config: object = {}): Promise<Tokenizer> =>
  openTokenizer(
    folderOf({ "tokenizer.json": readTokenizerFixture("small")[name].tokenizer, "tokenizer_config.json": config }),
  );

export const textInput = (tokenizer: Tokenizer, more: Partial<TextInput> = {}): TextInput => ({
  kind: "text",
  tokenizer: async () => tokenizer,
  attention: "causal",
  maxTokens: 1024,
  vocabulary: tokenizer.vocabulary,
  padId: tokenizer.padId ?? 0,
  tokenTypes: false,
  ...more,
});

/** Writes files into a new folder and returns its path. */
export async function filesOnDisk(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "glora-text-"));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return root;
}
