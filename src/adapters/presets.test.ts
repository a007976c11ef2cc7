import { expect, test } from "vitest";
import { count } from "./budget.js";
import { PRESETS, presetSpace } from "./presets.js";
import { layerShape } from "./reference.fixtures.js";
import { formsOf, onlyGenome } from "./space.js";
import type { LayerShape } from "./structure.js";

const layers = [layerShape("fc1", 12, 4), layerShape("fc2", 4, 12)];

/** Parameters of a method, worked out by hand for widths 4 and 12. */
const counts = {
  lora: 2 * 3 * (12 + 4),
  bitfit: 12 + 4,
  ssf: 3 * (12 + 4),
  vpt: 4 + 12,
  hira: 2 * 3 * (12 + 4),
  linear: 0,
};

test.each(Object.entries(counts))("%s is one structure of GLoRA", (name, parameters) => {
  const space = presetSpace(name as keyof typeof counts, layers, { rank: 3 });
  const genome = onlyGenome(space)!;
  expect(count(genome, space.layers)).toBe(parameters);
  expect(genome.size).toBe(name === "linear" ? 0 : 2);
});

test("glora is the whole space, with the powers of two up to the rank", () => {
  const space = presetSpace("glora", layers, { rank: 3, layers: ["fc1"] });
  expect(space.layers).toEqual([layers[0]]);
  expect(formsOf(space, "fc1").C).toEqual(["lora_1", "lora_2", "lora_3", "vector", "none"]);
  const asked = presetSpace("glora", layers, { ranks: [4] });
  expect(formsOf(asked, "fc1").C).toEqual(["lora_4", "vector", "none"]);
  expect(onlyGenome(space)).toBeUndefined();
});

test("the default rank is 8, or what the layers can have; a larger one is refused", () => {
  const ranks = (of: readonly LayerShape[], rank?: number) =>
    formsOf(presetSpace("lora", of, rank === undefined ? {} : { rank }), of[0]!.name).B;
  expect(ranks([layerShape("wide", 20, 10)])).toEqual(["lora_8"]);
  expect(ranks(layers)).toEqual(["lora_4"]);
  expect(() => presetSpace("glora", layers, { rank: 100_000 })).toThrow("A rank of 100000 is more than any");
});

test("a method acts only where a layer can take it", () => {
  const bare = [layerShape("with", 4, 4), layerShape("without", 4, 4, false)];
  const genome = onlyGenome(presetSpace("ssf", bare))!;
  expect(genome.get("with")).toEqual({ A: "vector", B: "none", C: "none", D: "vector", E: "vector" });
  expect(genome.get("without")).toEqual({ A: "vector", B: "none", C: "none", D: "none", E: "none" });
  expect(() => presetSpace("ssf", bare, { a: "product" })).toThrow("Support A in product form offers lora, none");
  expect(PRESETS).toEqual(["lora", "bitfit", "ssf", "vpt", "hira", "glora", "linear"]);
});
