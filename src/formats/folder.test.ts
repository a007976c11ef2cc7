import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readJson, readText } from "./folder.js";
import { openFolder, writeFileAtomic, writeFolderAtomic } from "./folder.node.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "glora-"));
});
afterEach(() => rm(root, { recursive: true }));

test("links are followed, as in a Hugging Face cache; folders and broken links are no files", async () => {
  await mkdir(join(root, "blobs"));
  await mkdir(join(root, "snapshot", "sub"), { recursive: true });
  await writeFile(join(root, "blobs", "abc"), '{"a": 1}');
  await symlink("../blobs/abc", join(root, "snapshot", "config.json"));
  await symlink("../blobs/none", join(root, "snapshot", "broken"));
  await symlink("snapshot", join(root, "main"));
  const folder = await openFolder(join(root, "main"));
  expect(await folder.list()).toEqual(["config.json"]);
  expect(await readJson(folder, "config.json")).toEqual({ a: 1 });
  expect(await folder.open("broken")).toBeUndefined();
  expect(folder.path).toMatch(/snapshot$/);
});

test("what cannot be read is told", async () => {
  await writeFile(join(root, "bad.json"), "{");
  await writeFile(join(root, "binary"), Uint8Array.of(0xff, 0xfe));
  const folder = await openFolder(root);
  await expect(openFolder(join(root, "none"))).rejects.toThrow(/none: no such folder \(ENOENT/);
  await expect(openFolder(join(root, "binary"))).rejects.toThrow("binary: is a file; a folder is expected.");
  await expect(readText(folder, "x.json")).rejects.toThrow(`${root}: has no x.json.`);
  await expect(readJson(folder, "bad.json")).rejects.toMatchObject({
    code: "CONFIG",
    message: expect.stringContaining("bad.json: not valid JSON: "),
  });
  await expect(readText(folder, "binary")).rejects.toThrow("binary: UTF-16 text, where UTF-8 is expected.");
  for (const outside of ["../x", "/etc/passwd", "a/../../x", ".."]) {
    await expect(folder.open(outside)).rejects.toThrow("lies outside the folder.");
  }
});

test("a file is replaced whole or not at all", async () => {
  const path = join(root, "run.json");
  await writeFileAtomic(path, "old");
  await writeFileAtomic(path, "new");
  await expect(
    writeFileAtomic(
      path,
      (async function* () {
        yield new TextEncoder().encode("half");
        throw new Error("stopped");
      })(),
    ),
  ).rejects.toThrow("stopped");
  expect(await readFile(path, "utf8")).toBe("new");
  expect(await readdir(root)).toEqual(["run.json"]);
  await expect(writeFileAtomic(join(root, "none", "x"), "")).rejects.toThrow(/x: cannot be written: ENOENT/);
});

test("a folder appears whole or not at all, and never over another", async () => {
  const path = join(root, "merged");
  const fill = (temporary: string): Promise<void> => writeFile(join(temporary, "a"), "1");
  await expect(
    writeFolderAtomic(path, async (temporary) => {
      await fill(temporary);
      throw new Error("disagree");
    }),
  ).rejects.toThrow("disagree");
  expect(await readdir(root)).toEqual([]);
  await writeFolderAtomic(path, fill);
  expect(await readdir(path)).toEqual(["a"]);
  const ordinary = join(root, "ordinary");
  await mkdir(ordinary);
  expect((await stat(path)).mode).toBe((await stat(ordinary)).mode);
  await writeFolderAtomic(ordinary, fill); // an empty folder may be taken
  await expect(writeFolderAtomic(path, fill)).rejects.toThrow(
    `${path}: is not empty. Choose another name, or remove it first.`,
  );
  expect((await readdir(root)).sort()).toEqual(["merged", "ordinary"]);
});
