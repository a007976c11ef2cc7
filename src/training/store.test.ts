import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { folderStore } from "./folder-store.node.js";
import { memoryStore, readStored } from "./store.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "glora-store-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each([
  ["memory", () => memoryStore()],
  ["folder", () => folderStore(join(folder, "a", "run"))],
])("%s store", (_name, open) => {
  test("writes whole files, adds to their end, and knows what is not there", async () => {
    const store = open();
    expect(await store.read("log")).toBeUndefined();
    expect(await readStored(store, "log")).toBeUndefined();
    await store.append("log", "één\n");
    await store.append("log", "two\n");
    expect(await readStored(store, "log")).toBe("één\ntwo\n");
    await store.write("log", "new");
    expect(await readStored(store, "log")).toBe("new");
    const bytes = Uint8Array.of(0, 255, 7);
    await store.write("bytes", bytes);
    bytes[0] = 9;
    expect([...(await store.read("bytes"))!]).toEqual([0, 255, 7]);
  });
});

test("a folder is made when something is written, and nothing but the files stays in it", async () => {
  const path = join(folder, "b");
  const store = folderStore(path);
  await store.read("x");
  await expect(readdir(path)).rejects.toThrow("ENOENT");
  await store.write("x", "1");
  await store.write("x", "2");
  expect(await readdir(path)).toEqual(["x"]);
});

test("what cannot be written is an error with the file's name", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  const store = folderStore(file);
  const error = { code: "FILE", message: expect.stringContaining(join(file, "config.json")) };
  await expect(store.write("config.json", "x")).rejects.toMatchObject(error);
  await expect(store.append("config.json", "x")).rejects.toMatchObject(error);
  await expect(store.read("config.json")).rejects.toMatchObject(error);
});
