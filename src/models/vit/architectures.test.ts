import { expect, test } from "vitest";
import reference from "../../../test/fixtures/vit-config/architectures.fixtures.json" with { type: "json" };
import { imagePreprocessing } from "../preprocessing.js";
import { architectureOf, knownArchitectures } from "./architectures.js";
import { REFUSED_ARCHITECTURES, RENAMED_ARCHITECTURES, TIMM_ARCHITECTURES } from "./architectures-table.js";
import { PLAIN_VIT, parseVitConfig } from "./config.js";

type Tag = [
  classes: number,
  mean: number[],
  std: number[],
  resize: number | [number, number],
  crop: [number, number],
  interpolation: string,
  tags: string[],
];

// Every name that is known, as timm builds it, and its images, as timm's transforms prepare them for each of its tags:
// scripts/fixtures/vit-architectures.py. Facts that are not listed are those of a plain ViT.
test.each(Object.entries(reference))("%s implies what timm makes of it", (name, { facts, tags }) => {
  const plain = { ...PLAIN_VIT, channels: 3, epsilon: 1e-6, loss: "cross-entropy", library: "timm" };
  expect(parseVitConfig({ architecture: name }, "c")).toEqual({ ...plain, ...facts, architecture: name });
  for (const [classes, mean, std, resize, [height, width], interpolation, names] of tags as unknown as Tag[])
    for (const tag of names) {
      const json = { architecture: `${name}.${tag}` };
      const config = parseVitConfig(json, "c");
      expect(config, tag).toMatchObject({ classes, imageSize: facts.imageSize });
      const how = imagePreprocessing({ config: json }, config, "vit");
      expect(how, tag).toMatchObject({ crop: { height, width }, interpolation, mean, std });
      expect(how.resize, tag).toEqual(
        typeof resize === "number"
          ? { mode: "shortest-edge", edge: resize }
          : { mode: "exact", height: resize[0], width: resize[1] },
      );
    }
});

test("the table and the reference hold the same names", () => {
  expect(Object.keys(TIMM_ARCHITECTURES).sort()).toEqual(Object.keys(reference).sort());
});

test("a tag may stand beside the name; the name's own is stronger, and one that is not known says nothing", () => {
  expect(architectureOf("vit_base_patch16_224", "dino")).toEqual(architectureOf("vit_base_patch16_224.dino"));
  expect(architectureOf("vit_base_patch16_224.mae", "bamboo")).toEqual(architectureOf("vit_base_patch16_224.mae"));
  expect(architectureOf("vit_small_patch8_224", "mine")).toEqual(architectureOf("vit_small_patch8_224"));
  expect(architectureOf("vit_base_patch16_224.constructor")).toEqual(architectureOf("vit_base_patch16_224"));
});

test("a name of old is the new one", () => {
  expect(architectureOf("vit_base_patch16_224_in21k")).toEqual(architectureOf("vit_base_patch16_224.augreg_in21k"));
  for (const current of Object.values(RENAMED_ARCHITECTURES))
    expect(Object.keys(reference)).toContain(current.split(".")[0]);
});

test.each([
  "vit_base_patch16_224.",
  "vit_huge_patch16_224",
  "xvit_base_patch16_224",
  "constructor",
  "",
  ...Object.keys(REFUSED_ARCHITECTURES),
])("%j is not known", (name) => expect(architectureOf(name)).toBeUndefined());

test("the names that are known are listed family by family, each once", () => {
  const lines = knownArchitectures().trim().split("\n  ");
  expect(lines).toContain(
    "deit3_base_patch16_{224,384}, deit3_huge_patch14_224, deit3_large_patch16_{224,384}, deit3_medium_patch16_224, deit3_small_patch16_{224,384}",
  );
  const listed = lines.flatMap((line) =>
    line.split(/, (?![^{]*\})/).flatMap((group) => {
      const [, front, rest = ""] = /^(.*)\{(.*)\}$/.exec(group) ?? [];
      return front === undefined ? [group] : rest.split(",").map((end) => front + end);
    }),
  );
  expect(listed.sort()).toEqual(Object.keys(TIMM_ARCHITECTURES).sort());
});
