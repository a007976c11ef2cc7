import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import { GloraError } from "../base/errors.js";
import { labelsOf } from "./dataset.js";
import { imageFiles } from "./image-files.node.js";
import { imageFolder } from "./image-folder.node.js";

const png = bytes(fixtures.decoded.find((c) => c.name === "alpha.png")!.file);
const jpg = bytes(fixtures.decoded.find((c) => c.name === "progressive.jpg")!.file);
const spec = {
  kind: "image",
  resize: { mode: "exact", height: 8, width: 8 },
  interpolation: "bilinear",
  rescale: 1 / 255,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  channels: 3,
} as const;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "glora-folder-"));
});
afterEach(() => rm(root, { recursive: true }));

async function put(path: string, data: Uint8Array | string = png): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), data);
}
const putMany = async (folder: string, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await put(`${folder}/${i}.png`);
};
const described = async (options = {}) =>
  (await imageFolder(root, options)).describe() as {
    splits: Record<"train" | "validation" | "test", string[]>;
    ignored: string[];
  };
async function failure(work: Promise<unknown>): Promise<GloraError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GloraError);
  return error as GloraError;
}

test("class folders: classes as Python sorts them, stratified, seeded, nothing lost", async () => {
  for (const name of ["zebra", "Ant", "ant", "\u{1f600}", "\ufb01sh"]) await putMany(name, 20); // UTF-16 order differs
  const data = await imageFolder(root);
  expect(labelsOf(data.task)).toEqual(["Ant", "ant", "zebra", "\ufb01sh", "\u{1f600}"]);
  const { splits } = await described();
  expect([splits.train.length, splits.validation.length, splits.test.length]).toEqual([70, 15, 15]);
  expect(new Set(Object.values(splits).flat()).size).toBe(100);
  for (const name of labelsOf(data.task))
    expect(splits.validation.filter((image) => image.startsWith(`${name}/`))).toHaveLength(3);
  expect((await described()).splits).toEqual(splits);
  expect((await described({ seed: 1 })).splits).not.toEqual(splits);
  const { train, validation, test } = await data.prepare(spec);
  expect([train.names, validation.names, test.names]).toEqual(Object.values(splits));
  expect([...train.labels]).toEqual(train.names.map((image) => labelsOf(data.task).indexOf(image.split("/")[0]!)));
  expect((await described({ split: { validation: 0.5, test: 0 } })).splits.test).toEqual([]);
});

test("train, val and test folders are used as they are; what is missing is split off train", async () => {
  await putMany("train/a", 10);
  await putMany("train/b", 10);
  await putMany("val/a", 2);
  await put("val/b/deep/x.JPG", jpg);
  const { splits } = await described();
  expect(splits.validation).toEqual(["val/a/0.png", "val/a/1.png", "val/b/deep/x.JPG"]);
  expect([splits.train.length, splits.test.length]).toEqual([16, 4]);
  await putMany("test/b", 1);
  const whole = await described();
  expect([whole.splits.train.length, whole.splits.test]).toEqual([20, ["test/b/0.png"]]);
});

test("a class may be called train", async () => {
  await putMany("train", 4);
  await putMany("tram", 4);
  expect(labelsOf((await imageFolder(root)).task)).toEqual(["train", "tram"]);
});

test("hidden files are left out, other files reported, links followed but not in a circle", async () => {
  await putMany("a", 3);
  await putMany("b", 3);
  await put("a/.hidden.png");
  await put(".git/c/0.png");
  await put("a/Thumbs.db", "x");
  await put("a/notes.txt", "x");
  await put("a/scan.bmp", "x");
  await put("loose.png");
  await mkdir(join(root, "c"));
  await symlink(join(root, "a", "0.png"), join(root, "c", "link.png"));
  await symlink(join(root, "b"), join(root, "c", "more"));
  await symlink(root, join(root, "c", "circle"));
  const data = await imageFolder(root, { split: { validation: 0, test: 0 } });
  expect(labelsOf(data.task)).toEqual(["a", "b", "c"]);
  expect(data.ignored).toEqual(["a/notes.txt", "a/scan.bmp", "loose.png"]);
  expect(data.notes?.()).toEqual([
    `${basename(root)}: 3 files are left out, of another kind than jpg, jpeg, png, webp, gif, tif, tiff: a/notes.txt, ` +
      "a/scan.bmp; images outside every class: loose.png.",
  ]);
  expect((await described({ split: { validation: 0, test: 0 } })).splits.train.slice(6)).toEqual([
    "c/link.png",
    "c/more/0.png",
    "c/more/1.png",
    "c/more/2.png",
  ]);
});

test("all that is wrong with the folders is in one error", async () => {
  await putMany("train/a", 1);
  await mkdir(join(root, "train/empty"));
  await putMany("train/b", 9);
  await putMany("val/c", 1);
  await put("val/loose.png");
  const error = await failure(imageFolder(root));
  expect(error.code).toBe("DATA");
  expect(error.message).toBe(
    `"${root}" cannot be used as a data set of images:
  - val/ holds 1 image without a class; sort it into val/<class>/
  - class "c" of val/ is not in train/
  - class "a" has 1 image, too few to have one in each split; add images
  - class "empty" has no images (jpg, jpeg, png, webp, gif, tif, tiff)`,
  );
});

test.each([
  ["no folders", ["0.png"], /at least two folders of images are needed.*found none, and 1 image in all/],
  ["one class", ["a/0.png", "a/1.png"], /found only "a", and 2 images in all/],
  ["no train", ["val/a/0.png", "test/a/0.png"], /there is no train\/<class>\/ beside test\/ and val\//],
  ["two validations", ["train/a/0.png", "val/a/0.png", "valid/a/0.png"], /val\/ and valid\/ are both there; keep one/],
  ["nothing in val", ["train/a/0.png", "val/a/0.txt"], /val\/ holds no images/],
])("%s", async (_name, paths, message) => {
  for (const path of paths) await put(path);
  expect((await failure(imageFolder(root))).message).toMatch(message);
});

test("a folder that is not there, and shares that cannot be", async () => {
  const missing = await failure(imageFolder(join(root, "none")));
  expect(missing).toMatchObject({ code: "DATA" });
  expect(missing.message).toMatch(
    /^There is no file or folder ".*none" \(data\)\. Give the path of a folder of images/,
  );
  const relative = await failure(imageFolder("none"));
  expect(relative.message).toContain(`"none" (data): ${join(process.cwd(), "none")} was looked for. Give the path`);
  expect(await failure(imageFolder(root, { split: { validation: 0.9, test: 0.1 } }))).toMatchObject({ code: "USAGE" });
});

test("unreadable images are named together before training starts", async () => {
  await putMany("a", 15);
  await putMany("b", 15);
  for (let i = 0; i < 10; i++) await put(`a/bad-${i}.png`, png.subarray(0, png.length - 30));
  await put("b/empty.jpg", "");
  await put("b/text.jpg", "not an image");
  await symlink(join(root, "nowhere"), join(root, "b", "dangling.png"));
  const error = await failure((await imageFolder(root)).prepare(spec));
  expect(error.code).toBe("DATA");
  const lines = error.message.split("\n");
  expect(lines.slice(0, 2)).toEqual([
    "13 images cannot be read; replace or remove:",
    "  - a/bad-0.png: truncated or damaged (or above 268 megapixels)",
  ]);
  expect(lines).toHaveLength(14);
  expect((error.details["problems"] as string[]).slice(10)).toEqual([
    expect.stringMatching(/^b\/dangling.png: ENOENT/),
    "b/empty.jpg: the file is empty",
    "b/text.jpg: no image of a kind that is read, or cut short",
  ]);
});

test("files without labels: to any depth, read batch by batch; or one file", async () => {
  await put("x/1.png");
  await put("0.jpg", jpg);
  await put("bad.png", "no");
  await put("notes.txt", "no");
  const files = await imageFiles(root);
  expect([files.names, files.ignored]).toEqual([["0.jpg", "bad.png", "x/1.png"], ["notes.txt"]]);
  const split = files.prepare(spec);
  expect([...split.labels]).toEqual([-1, -1, -1]);
  const { pixel_values } = await split.inputs([2, 0]);
  expect(pixel_values!.shape).toEqual([2, 3, 8, 8]);
  expect((await failure(split.inputs([0, 1]))).message).toMatch(
    /^An image cannot be read; replace or remove:\n {2}- bad.png: no image/,
  );
  const one = (await imageFiles(join(root, "x/1.png"))).prepare(spec);
  expect((await one.inputs([0]))["pixel_values"]!.data).toEqual(pixel_values!.data.subarray(0, 3 * 64));
  await rm(join(root, "x"), { recursive: true });
  await mkdir(join(root, "x"));
  expect((await failure(imageFiles(join(root, "x")))).message).toBe(`There is no image in "${join(root, "x")}".`);
});
