import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { count } from "./budget.js";
import { layerShape } from "./reference.fixtures.js";
import {
  createSpace,
  drawGenome,
  drawStructure,
  formsOf,
  largestGenome,
  namedGenomes,
  onlyGenome,
  smallestGenome,
} from "./space.js";
import { genomeKey, kindOf, SUPPORTS } from "./structure.js";

const layers = [
  layerShape("blocks.0.qkv", 12, 4),
  layerShape("blocks.0.proj", 4, 4),
  layerShape("blocks.1.qkv", 12, 4, false, true),
  layerShape("blocks.1.proj", 4, 4, false, false),
];

test("a layer draws C, D and E only where a bias is, or can be added", () => {
  const space = createSpace(layers, { ranks: [4, 1, 4] });
  const weight = ["lora_1", "lora_4", "vector", "scalar", "none"];
  const whole = {
    A: weight,
    B: weight,
    C: ["lora_1", "lora_4", "vector", "none"],
    D: weight.slice(2),
    E: weight.slice(2),
  };
  expect(formsOf(space, "blocks.0.qkv")).toEqual(whole);
  expect(formsOf(space, "blocks.1.qkv")).toEqual({ ...whole, D: ["none"] });
  expect(formsOf(space, "blocks.1.proj")).toEqual({ ...whole, C: ["none"], D: ["none"], E: ["none"] });
  const asPeft = createSpace(layers, { ranks: [1, 4], addBiases: false });
  expect(formsOf(asPeft, "blocks.1.qkv")).toEqual({ ...whole, C: ["none"], D: ["none"], E: ["none"] });
  expect(formsOf(createSpace(layers, { a: "product", ranks: [2] }), "blocks.0.proj").A).toEqual(["lora_2", "none"]);
});

test("patterns select layers, in the model's order", () => {
  const names = (patterns: string[]) => createSpace(layers, { layers: patterns }).layers.map(({ name }) => name);
  expect(names(["*.proj"])).toEqual(["blocks.0.proj", "blocks.1.proj"]);
  expect(names(["blocks.1.proj", "blocks.0.*"])).toEqual(["blocks.0.qkv", "blocks.0.proj", "blocks.1.proj"]);
  expect(names([])).toEqual([]);
  expect(() => names(["*.mlp"])).toThrow(
    'No linear layer matches "*.mlp". The model has 4: blocks.0.qkv, blocks.0.proj, blocks.1.qkv, blocks.1.proj.',
  );
  const space = createSpace(layers, { layers: ["blocks.0.*"] });
  expect(() => drawStructure(space, "blocks.1.qkv", rngStream(1, "x"))).toThrow('"blocks.1.qkv" is not adapted');
});

test("wrong ranks and forms are refused", () => {
  expect(() => createSpace(layers, { ranks: [2, 0] })).toThrow("A rank is a positive integer; got 0.");
  expect(() => createSpace(layers, { ranks: [1.5] })).toThrow("got 1.5");
  expect(() => createSpace(layers, { forms: { C: ["scalar"] } })).toThrow(
    "Support C offers lora, vector, none; got scalar.",
  );
  expect(() => createSpace(layers, { forms: { B: [] } })).toThrow("got no form at all");
  expect(() => createSpace(layers, { ranks: [] })).toThrow("Name at least one rank");
  expect(() => createSpace(layers, { a: "product", forms: { A: ["vector"] } })).toThrow(
    "Support A in product form offers lora, none; got vector.",
  );
});

test("a rank is at most the smaller edge of the largest adapted layer", () => {
  const some = [layerShape("narrow", 2, 9), layerShape("wide", 12, 6)];
  // A layer below an offered rank takes it all the same.
  expect(formsOf(createSpace(some, { ranks: [6] }), "narrow").C).toEqual(["lora_6", "vector", "none"]);
  expect(formsOf(createSpace(some), "wide").C).toEqual(["lora_1", "lora_2", "lora_4", "vector", "none"]);
  expect(() => createSpace(some, { ranks: [1, 7] })).toThrow(
    expect.objectContaining({
      code: "USAGE",
      message:
        "A rank of 7 is more than any adapted layer can have: at most 6, the smaller of its in and out. Ask for 6 or less.",
    }),
  );
  expect(() => createSpace(some, { ranks: [3], layers: ["narrow"] })).toThrow("at most 2");
  expect(createSpace([], { ranks: [100_000] }).layers).toEqual([]);
});

test("draws are uniform over the forms, then over the ranks, and independent", () => {
  const space = createSpace([layerShape("blocks.0.qkv", 24, 8)], { ranks: [1, 2, 4, 8] });
  const rng = rngStream(2, "draws");
  const draws = 20_000;
  const seen = new Map<string, number>();
  let together = 0;
  for (let i = 0; i < draws; i++) {
    const structure = drawStructure(space, "blocks.0.qkv", rng);
    for (const support of SUPPORTS) {
      for (const key of new Set([`${support} ${kindOf(structure[support])}`, `${support} ${structure[support]}`])) {
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
    }
    if (structure.A === "vector" && structure.B === "scalar") together++;
  }
  // 4 standard errors of a share p: 4·√(p(1 − p)/20000) < 0.0142
  const expected = {
    "A lora": 1 / 4,
    "A lora_8": 1 / 16,
    "B none": 1 / 4,
    "C lora": 1 / 3,
    "D scalar": 1 / 3,
    "E none": 1 / 3,
  };
  for (const [key, share] of Object.entries(expected))
    expect(Math.abs(seen.get(key)! / draws - share)).toBeLessThan(0.0142);
  expect(Math.abs(together / draws - 1 / 16)).toBeLessThan(0.0142);
});

test("smallest and largest bound every draw", () => {
  const space = createSpace(layers, { ranks: [1, 4], forms: { A: ["vector", "lora"] } });
  const counted = (genome: Parameters<typeof count>[0]) => count(genome, space.layers);
  expect(counted(smallestGenome(space))).toBe(12 + 4 + 12 + 4);
  // Largest: A, B lora_4: 4·(out + in) each; C lora_4: 4·(in + 1); D, E vectors of out
  const low = 2 * 4 * (16 + 8 + 16 + 8);
  expect(counted(largestGenome(space))).toBe(low + 3 * 4 * 5 + (12 + 4) + (12 + 4 + 12));
  const rng = rngStream(4, "draws");
  for (let i = 0; i < 200; i++) {
    const genome = drawGenome(space, rng);
    expect([...genome.keys()]).toEqual(layers.map(({ name }) => name));
    expect(counted(genome)).toBeGreaterThanOrEqual(32);
    expect(counted(genome)).toBeLessThanOrEqual(counted(largestGenome(space)));
  }
});

test("the named genomes are the same every time, and each is there once", () => {
  const space = createSpace(layers);
  const named = namedGenomes(space);
  expect([...named.keys()]).toEqual(["smallest", "largest", "draw-1", "draw-2", "draw-3"]);
  expect(namedGenomes(space)).toEqual(named);
  expect(new Set([...named.values()].map((genome) => genomeKey(genome, layers))).size).toBe(5);
  const one = createSpace(layers, { forms: { A: ["vector"], B: ["none"], C: ["none"], D: ["none"], E: ["vector"] } });
  expect([...namedGenomes(one).keys()]).toEqual(["smallest"]);
  expect(onlyGenome(one)).toEqual(smallestGenome(one));
  expect(onlyGenome(space)).toBeUndefined();
});
