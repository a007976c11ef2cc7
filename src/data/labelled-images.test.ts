import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { splitNames } from "./dataset.js";
import { imageFolder } from "./image-folder.node.js";
import { labelledImages } from "./labelled-images.js";

const folder = mkdtempSync(join(tmpdir(), "glora-labelled-"));
afterAll(() => rmSync(folder, { recursive: true }));

const image = new Blob(["never decoded here"]);
const labelled = (label: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `${label}/${i}.png`, label, image }));

test("splits as imageFolder splits files of the same names", async () => {
  const images = [...labelled("tulip", 11), ...labelled("Rose", 7), ...labelled("élan", 4)];
  for (const { name, label } of images) {
    mkdirSync(join(folder, label), { recursive: true });
    writeFileSync(join(folder, name), "");
  }
  for (const options of [{}, { seed: 3, split: { validation: 0.3, test: 0 } }]) {
    const here = labelledImages(images.toReversed(), options);
    const there = await imageFolder(folder, options);
    expect(here.task).toEqual(there.task);
    const splitsOf = (d: { describe(): unknown }) => (d.describe() as { splits: Record<string, string[]> }).splits;
    for (const split of splitNames) expect(splitsOf(here)[split]).toEqual(splitsOf(there)[split]);
  }
});

test("what cannot be split is told at once", () => {
  expect(() => labelledImages([...labelled("a", 2), ...labelled("b", 1), ...labelled("c", 5)])).toThrow(
    'These images cannot be used as a data set:\n  - class "a" has 2, too few to have one in each split; add images\n  - class "b" has 1, too few',
  );
  expect(() => labelledImages(labelled("a", 9))).toThrow("at least two classes are needed; found a");
  expect(() => labelledImages([])).toThrow("at least two classes are needed; found no images");
  expect(() => labelledImages(labelled("a", 9), { split: { test: 1 } })).toThrow("must leave something to train on");
});
