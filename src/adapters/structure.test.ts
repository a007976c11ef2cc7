import { expect, test } from "vitest";
import { allStructures, layerShape } from "./reference.fixtures.js";
import { type Genome, genomeKey, genomeToJson, kindsOf, NO_CHANGE, parseForm, type Structure } from "./structure.js";

test("a layer has 432 structures at one rank, 216 with a product A", () => {
  expect(allStructures("elementwise", 4)).toHaveLength(4 * 4 * 3 * 3 * 3);
  expect(allStructures("product", 4)).toHaveLength(2 * 4 * 3 * 3 * 3);
  expect(kindsOf("A", "product")).toEqual(["lora", "none"]);
});

test("a form's name is read where the support has that form, and nowhere else", () => {
  expect(parseForm("lora_16", "B", "elementwise")).toBe("lora_16");
  expect(parseForm("scalar", "D", "product")).toBe("scalar");
  const wrong = [parseForm("scalar", "C", "elementwise"), parseForm("lora_4", "E", "elementwise")];
  const product = parseForm("vector", "A", "product");
  const names = ["lora_0", "lora_", "lora_04", "lora_1.5", "lora_-1", "LORA_4", "", 4, null].map((text) =>
    parseForm(text, "A", "elementwise"),
  );
  expect([...wrong, product, ...names].every((form) => form === undefined)).toBe(true);
});

test("genomes of equal function have one key, others have their own", () => {
  const layers = [layerShape("with", 4, 5), layerShape("without", 4, 5, false)];
  const d: Structure = { ...NO_CHANGE, D: "vector" };
  const genome = (...pairs: [string, Structure][]): Genome => new Map(pairs);
  const key = (g: Genome) => genomeKey(g, layers);
  expect(key(genome(["without", d]))).toBe(key(genome()));
  expect(key(genome(["with", NO_CHANGE]))).toBe(key(genome()));
  expect(key(genome(["with", d]))).not.toBe(key(genome()));
  expect(key(genome(["with", d], ["without", d]))).toBe(key(genome(["without", NO_CHANGE], ["with", d])));
  const keys = allStructures("elementwise", 4).map((structure) => key(genome(["with", structure])));
  expect(new Set(keys).size).toBe(432);
});

test("JSON leaves out what is absent", () => {
  const genome: Genome = new Map([
    ["one", { ...NO_CHANGE, A: "lora_4", E: "scalar" }],
    ["two", NO_CHANGE],
  ]);
  expect(genomeToJson(genome)).toEqual({ one: { A: "lora_4", E: "scalar" } });
});
