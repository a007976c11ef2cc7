import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openCheckpoint } from "../../formats/checkpoint.js";
import { readJson } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import { parseVitConfig } from "./config.js";
import { checkVitTensors, vitLibraryOf } from "./names.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/vit-transformers/", import.meta.url));

/** The layers found in a fixture's tensors once these have other names. */
async function layersOf(name: string, rename: (tensor: string) => string = (tensor) => tensor): Promise<string[]> {
  const folder = await openFolder(fixtures + name);
  const { tensors } = await openCheckpoint(folder);
  const renamed = new Map([...tensors].map(([tensor, entry]) => [rename(tensor), entry]));
  expect(vitLibraryOf(renamed)).toBe("transformers");
  const config = parseVitConfig(await readJson(folder, "config.json"), name);
  return checkVitTensors({ tensors: renamed }, config, name).layers.map((layer) => layer.name);
}

const renaming =
  (...rules: readonly (readonly [RegExp, string])[]) =>
  (name: string) =>
    rules.reduce((text, [from, to]) => text.replace(from, to), name);

// transformers 5.23, conversion_mapping.py: from names on disk to those in memory.
const ATTENTION = [
  [/attention\.attention\.query/, "attention.q_proj"],
  [/attention\.attention\.key/, "attention.k_proj"],
  [/attention\.attention\.value/, "attention.v_proj"],
  [/attention\.output\.dense/, "attention.o_proj"],
] as const;
const VIT = renaming(
  ...ATTENTION,
  [/encoder\.layer\./, "layers."],
  [/intermediate\.dense/, "mlp.fc1"],
  [/output\.dense/, "mlp.fc2"],
);
const DINOV2 = renaming(...ATTENTION);

test.each([
  ["deit", VIT],
  ["deit-bare", VIT],
  ["ijepa", VIT],
  ["dinov2", DINOV2],
  ["dinov2-registers-resized", DINOV2],
] as const)("%s: names in memory are those on disk in another spelling", async (name, inMemory) => {
  const onDisk = await layersOf(name);
  const found = await layersOf(name, inMemory);
  expect(found).toEqual(onDisk.map((layer) => inMemory(`${layer}.`).slice(0, -1)));
  expect(found).not.toEqual(onDisk);
});

test("ViT-MSN with a head, as transformers 5 writes it and as version 4 did", async () => {
  const [query] = await layersOf("msn");
  expect(query).toBe("encoder.layer.0.attention.attention.query");
  const [old] = await layersOf("msn", renaming([/^encoder\./, "vit.encoder."]));
  expect(old).toBe(`vit.${query}`);
});

test("CLIP's vision model, as transformers 5 writes it and as version 4 did", async () => {
  const [old] = await layersOf("clip-bare");
  expect(old).toBe("vision_model.encoder.layers.0.self_attn.q_proj");
  const [own] = await layersOf("clip-bare", renaming([/^vision_model\./, ""]));
  expect(own).toBe("encoder.layers.0.self_attn.q_proj");
});

test("what plays no part is let be; what is not known is not", async () => {
  // Projections of text and images, a model of text, buffers of old.
  const layers = await layersOf("clip-whole", renaming([/^logit_scale$/, "vision_model.embeddings.position_ids"]));
  expect(layers.every((layer) => layer.startsWith("vision_model."))).toBe(true);
  const odd = renaming([/^text_projection\.weight$/, "vision_model.adapter.weight"]);
  await expect(layersOf("clip-whole", odd)).rejects.toThrow("unexpected: vision_model.adapter.weight");
});
