import { expect, test } from "vitest";
import reference from "../../../test/fixtures/vit-config/architectures.fixtures.json" with { type: "json" };
import { imagePreprocessing } from "../preprocessing.js";
import { architectureOf } from "./architectures.js";
import { parseVitConfig } from "./config.js";

// Every name and tag of the grid that timm registers, as timm builds it: scripts/fixtures/vit-config.py.
test.each(Object.entries(reference))("%s implies what timm makes of it", (name, { mean, std, resize, ...facts }) => {
  const json = { architecture: name };
  const config = parseVitConfig(json, "config.json");
  expect(config).toMatchObject(facts);
  expect(imagePreprocessing({ config: json }, config, "vit")).toMatchObject({
    resize: { mode: "shortest-edge", edge: resize.size },
    crop: { height: resize.crop[0], width: resize.crop[1] },
    interpolation: resize.interpolation,
    mean,
    std,
  });
});

test("a tag may stand beside the name; the name's own is stronger", () => {
  expect(architectureOf("vit_base_patch16_224", "dino")).toEqual(architectureOf("vit_base_patch16_224.dino"));
  expect(architectureOf("vit_base_patch16_224.mae", "bamboo")).toEqual(architectureOf("vit_base_patch16_224.mae"));
  expect(architectureOf("vit_small_patch8_224", "mine")?.classes).toBe(1000);
});

test.each([
  ["vit_base_patch16_224_miil"], // no qkv bias
  ["vit_base_patch16_gap_224"],
  ["vit_base_patch32_clip_224"], // another eps, a norm in front
  ["vit_base_patch16_siglip_224"],
  ["vit_base_patch16_rpn_224"],
  ["vit_small_patch14_dinov2"],
  ["deit3_small_patch16_224"],
  ["deit_tiny_distilled_patch16_224"],
  ["deit_large_patch16_224"],
  ["vit_base_patch16_224_in21k"],
  ["vit_base_patch16_224."],
  ["xvit_base_patch16_224"],
])("%s is not known", (name) => expect(architectureOf(name)).toBeUndefined());
