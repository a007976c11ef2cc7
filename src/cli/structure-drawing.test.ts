import { expect, test } from "vitest";
import { type Genome, NO_CHANGE } from "../adapters/structure.js";
import { drawStructure } from "./structure-drawing.js";
import { colours } from "./terminal.js";

const layer = (name: string, bias = true) => ({ name, in: 4, out: 8, bias, addableBias: false });
const layers = [
  layer("blocks.0.attn.qkv"),
  layer("blocks.0.mlp.fc1"),
  layer("blocks.10.attn.qkv", false),
  layer("neck"),
];
const genome: Genome = new Map([
  ["blocks.0.attn.qkv", { A: "lora_16", B: "vector", C: "none", D: "scalar", E: "vector" }],
  ["blocks.10.attn.qkv", { ...NO_CHANGE, C: "lora_2", D: "vector" }],
]);

test("a structure is drawn with a row a layer, by block", () => {
  // By hand: 16·(8+4) + 8 + 1 + 8 = 209; 2·(4+1) = 10, its D without a bias not counted.
  expect(drawStructure(layers, genome)).toBe(`\
block      layer      A  B  C  D  E  parameters
blocks.0   attn.qkv  16  v  ·  s  v         209
           mlp.fc1    ·  ·  ·  ·  ·           0
blocks.10  attn.qkv   ·  ·  2  v  ·          10
           neck       ·  ·  ·  ·  ·           0
           all                              219
1, 2, 4 … low rank  v vector  s scalar  · none`);
});

test("a product A is counted as one, and said", () => {
  const drawn = drawStructure([layer("neck")], new Map([["neck", { ...NO_CHANGE, A: "lora_2" as const }]]), "product");
  expect(drawn).toContain("neck   2  ·  ·  ·  ·          16\n"); // 2·2·4
  expect(drawn).toMatch(/none {2}\(A as W·A\)$/);
});

test("colours do not shift the columns", () => {
  const escapes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
  const coloured = drawStructure(layers, genome, "elementwise", colours);
  expect(coloured).toContain("\x1b[32m16\x1b[39m  \x1b[36mv\x1b[39m");
  expect(coloured.replace(escapes, "")).toBe(drawStructure(layers, genome));
});
