import { mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { blobSource } from "./blob.js";
import { openFile } from "./file.node.js";
import { type ByteSource, memorySource } from "./source.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "glora-"));
});
afterEach(() => rm(folder, { recursive: true }));

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);

test.each<[string, () => Promise<ByteSource>]>([
  ["memory", async () => memorySource("x", bytes)],
  ["blob", async () => blobSource(new Blob([bytes]), "x")],
  [
    "file",
    async () => {
      await writeFile(join(folder, "x"), bytes);
      return openFile(join(folder, "x"), "x");
    },
  ],
])("%s: ranges inside are read, ranges outside are refused", async (_kind, make) => {
  const source = await make();
  expect(source.size).toBe(100);
  expect([...(await source.read(7, 3))]).toEqual([7, 8, 9]);
  expect(await source.read(100, 0)).toHaveLength(0);
  const outside: [number, number][] = [
    [98, 3],
    [-1, 2],
    [0, -1],
    [0.5, 1],
    [Number.NaN, 1],
    [0, 2 ** 53],
  ];
  for (const [offset, length] of outside) {
    await expect(source.read(offset, length)).rejects.toMatchObject({
      code: "FILE",
      message: `x: cannot read ${length} bytes at ${offset}: the file has 100 bytes. It may be truncated; fetch it again.`,
    });
  }
});

test("a file behind a symbolic link gives its real path", async () => {
  await writeFile(join(folder, "blob"), bytes);
  await symlink("blob", join(folder, "link"));
  const { path } = await openFile(join(folder, "link"));
  expect(path).toMatch(/blob$/);
});

test("a missing file, a folder, and a file that is shortened while open are told", async () => {
  await expect(openFile(join(folder, "none"), "none")).rejects.toThrow(/^none: cannot be read: ENOENT/);
  await expect(openFile(folder, "here")).rejects.toThrow("here: not a file.");
  await writeFile(join(folder, "x"), bytes);
  const source = await openFile(join(folder, "x"), "x");
  await truncate(join(folder, "x"), 10);
  await expect(source.read(5, 20)).rejects.toThrow("x: cannot read 20 bytes at 5: the file has 10 bytes.");
});
