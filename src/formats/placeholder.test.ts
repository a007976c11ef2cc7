import { expect, test } from "vitest";
import { type Folder, readJson } from "./folder.js";
import { readNpz } from "./npz.js";
import { readSafetensors } from "./safetensors.js";
import { memorySource } from "./source.js";
import { readTorch } from "./torch.js";

// As git stores deit-tiny's model.safetensors; https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
const pointer = `version https://git-lfs.github.com/spec/v1
oid sha256:6e5c4b8a3cd4c9a1cd5a0f0b1d2f7f5e5d0f0c2c9a3ad1fb5f1d4f0a4b7b2f11
size 22883312
`;
const page = '\n<!DOCTYPE html>\n<html class="">\n<head>';

const source = (text: string, name = "vit/x") => memorySource(name, new TextEncoder().encode(text));
const folder = (text: string): Folder => ({
  name: "vit",
  list: async () => ["config.json"],
  open: async (file) => source(text, `vit/${file}`),
});

const readers: [string, (text: string) => Promise<unknown>][] = [
  [".safetensors", (text) => readSafetensors(source(text))],
  [".bin, .pth and .pt", (text) => readTorch(source(text))],
  [".npz", (text) => readNpz(source(text))],
  ["a config", (text) => readJson(folder(text), "x")],
];

test.each(readers)("in the place of %s: a pointer of Git LFS and a web page are told", async (_what, read) => {
  await expect(read(pointer)).rejects.toMatchObject({
    code: "FILE",
    message:
      "vit/x: is a Git LFS pointer: the file itself, of 22883312 bytes, was not downloaded. " +
      'Run "git lfs pull" in its folder, or download the file again.',
    details: { file: "vit/x", size: 22883312 },
  });
  for (const text of [page, '<html lang="en">', "<!doctype HTML PUBLIC>"])
    await expect(read(text)).rejects.toMatchObject({
      code: "FILE",
      message:
        "vit/x: is a web page (HTML), which was saved in the place of the file. Download the file itself; its address on " +
        'Hugging Face has "/resolve/" where that of its page has "/blob/".',
    });
});

test.each(readers)("in the place of %s: other texts are what they were", async (_what, read) => {
  for (const text of ["", "version 2", "<htmlx>", "x <html>"]) {
    const error: unknown = await read(text).catch((thrown) => thrown);
    expect(error).toMatchObject({ name: "GloraError" });
    expect(String(error)).not.toMatch(/pointer|web page/);
  }
});
