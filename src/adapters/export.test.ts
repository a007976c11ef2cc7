import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mergedFiles } from "./export.js";
import { mergeModel } from "./export.node.js";
import { adapted, expected, type Library, scratch } from "./merge.fixtures.js";

test.each<Library>(["timm", "transformers"])(
  "files in memory are those on disk, byte for byte (%s)",
  async (library) => {
    const { inputs } = await expected(library);
    const o = { inputs, largestOnnxFile: 7000 };
    const out = join(scratch, `on-disk-${library}`);
    const { onnxFolder, ...onDisk } = await mergeModel(await adapted(library), out, o);
    const { files, ...inMemory } = await mergedFiles(await adapted(library), o);
    expect(join(out, inMemory.onnxFolder)).toBe(onnxFolder);
    expect(inMemory).toMatchObject(onDisk);
    const entries = await readdir(out, { recursive: true, withFileTypes: true });
    const paths = entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name).slice(out.length + 1));
    expect([...files.keys()].sort()).toEqual(paths.sort());
    for (const [path, blob] of files)
      expect(Buffer.from(await blob.arrayBuffer()).equals(await readFile(join(out, path))), path).toBe(true);
  },
);
