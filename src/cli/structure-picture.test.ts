import { expect, test } from "vitest";
import { type Genome, NO_CHANGE } from "../adapters/structure.js";
import { pictureStructure } from "./structure-picture.js";
import { rendered } from "./svg.fixtures.js";

const layer = (name: string) => ({ name, in: 4, out: 8, bias: true, addableBias: false });
const blocks = (count: number) =>
  Array.from({ length: count }, (_, i) => ["attn.qkv", "mlp.fc1"].map((rest) => layer(`blocks.${i}.${rest}`))).flat();
const textsOf = (svg: string): string[] => [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, content]) => content!);

const genome: Genome = new Map([
  ["blocks.0.attn.qkv", { A: "lora_16", B: "vector", C: "none", D: "scalar", E: "vector" }],
  ["blocks.1.mlp.fc1", { ...NO_CHANGE, B: "lora_2" }],
]);

test("every layer has a row, every support a cell in its form's colour", async () => {
  const svg = pictureStructure(blocks(2), genome);
  const { at } = await rendered(svg);
  // The row's cells as the file places them; a corner of each, beside its letter.
  const [row] = svg.split("\n").filter((line) => line.includes("blocks.0.attn.qkv:"));
  const cells = [...row!.matchAll(/<rect x="([\d.]+)" y="([\d.]+)"/g)]
    .slice(0, 5)
    .map(([, x, y]) => [Number(x), Number(y)]);
  expect(cells.map(([x, y]) => at(x! + 4, y! + 4))).toEqual(["#1a7f37", "#0969da", "#d0d7de", "#9a6700", "#0969da"]);
  // By hand: 16·(8+4) + 8 + 1 + 8 = 209, and 2·(8+4) = 24.
  expect(row).toContain(
    "<title>blocks.0.attn.qkv: A lora_16, B vector, C none, D scalar, E vector; 209 parameters</title>",
  );
  expect(textsOf(row!)).toEqual(["blocks.0", "attn.qkv", "16", "v", "s", "v", "209"]);
  expect(svg).toContain("<title>233 adapter parameters in 4 layers</title>");
  expect(svg).toContain("low rank: 2, vector: 2, scalar: 1, none: 15.");
});

test("many layers stand in columns that part between blocks", () => {
  const svg = pictureStructure(blocks(60), new Map());
  const starts = [...svg.matchAll(/<text x="([\d.]+)"[^>]*class="f-quiet">blocks\.(\d+)</g)];
  const lefts = starts.map(([, x]) => x);
  const counts = [...new Set(lefts)].map((left) => lefts.filter((x) => x === left).length);
  expect(counts).toEqual([20, 20, 20]); // 40 rows each, of at most 48
  expect(pictureStructure(blocks(24), new Map()).match(/>parameters</g)).toHaveLength(1); // 48 rows: one column
});

test("a product A is counted as one, and said", () => {
  const svg = pictureStructure([layer("neck")], new Map([["neck", { ...NO_CHANGE, A: "lora_2" as const }]]), "product");
  expect(svg).toContain("<title>16 adapter parameters in 1 layer, A as W·A</title>"); // 2·2·4
});
