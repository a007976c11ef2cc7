import { expect, test } from "vitest";
import { count } from "../adapters/budget.js";
import { presetSpace } from "../adapters/presets.js";
import { createSpace, onlyGenome } from "../adapters/space.js";
import { type Genome, genomeKey, type LayerShape } from "../adapters/structure.js";
import { seedGenomes } from "./seeds.js";

const layer = (name: string, inside: number, out: number, bias = true): LayerShape => ({
  name,
  in: inside,
  out,
  bias,
  addableBias: false,
});
/** Two blocks; LoRA takes 24 + 24 parameters a rank in each. */
const layers = [0, 1].flatMap((i) => [layer(`blocks.${i}.attn.qkv`, 6, 18), layer(`blocks.${i}.mlp.fc1`, 6, 18)]);
const space = createSpace(layers, { ranks: [1, 2, 4] });
const formsOf = (genome: Genome, support: "A" | "B" | "C" | "D" | "E") =>
  layers.map(({ name }) => genome.get(name)![support]);

test("known methods are among the seeds where the budget is theirs", () => {
  const keys = (max: number) => seedGenomes(space, { min: 0, max }).map((genome) => genomeKey(genome, layers));
  for (const [method, rank] of [
    ["lora", 1],
    ["lora", 2],
    ["lora", 4],
    ["ssf", 1],
    ["bitfit", 1],
  ] as const) {
    const preset = presetSpace(method, layers, { rank });
    const genome = onlyGenome(preset)!;
    expect(keys(count(genome, layers)), `${method} ${rank}`).toContain(genomeKey(genome, layers));
  }
});

test.each([10, 30, 48, 96, 100, 130, 1000])("at most %i parameters: as many as fit, the last layers first", (max) => {
  const seeds = seedGenomes(space, { min: 0, max });
  expect(new Set(seeds.map((genome) => genomeKey(genome, layers))).size).toBe(seeds.length);
  for (const genome of seeds) expect(count(genome, layers)).toBeLessThanOrEqual(max);
  const lora = seeds.find(
    (genome) => formsOf(genome, "E").every((form) => form === "none") && formsOf(genome, "B")[3] !== "none",
  );
  // 96 is rank 1 everywhere; 130 leaves room for the second rank in one layer more.
  const expected: Record<number, string[]> = {
    30: ["none", "none", "none", "lora_1"],
    48: ["none", "none", "lora_1", "lora_1"],
    96: ["lora_1", "lora_1", "lora_1", "lora_1"],
    100: ["lora_1", "lora_1", "lora_1", "lora_1"],
    130: ["lora_1", "lora_1", "lora_1", "lora_2"],
    1000: ["lora_4", "lora_4", "lora_4", "lora_4"],
  };
  expect(lora && formsOf(lora, "B")).toEqual(expected[max]);
});

test("what the space does not offer is left out, and what is under the budget's lower end", () => {
  expect(
    seedGenomes(createSpace(layers, { ranks: [1], forms: { A: ["none"], B: ["none"], D: ["none"], E: ["none"] } }), {
      min: 0,
      max: 1e6,
    }),
  ).toEqual([]);
  const bare = createSpace([layer("q", 6, 6, false)], { ranks: [1] });
  const seeds = seedGenomes(bare, { min: 0, max: 1e6 });
  expect(seeds.map((genome) => genome.get("q"))).toEqual([
    { A: "none", B: "lora_1", C: "none", D: "none", E: "none" },
    { A: "vector", B: "none", C: "none", D: "none", E: "none" },
  ]);
  expect(seedGenomes(bare, { min: 12, max: 1e6 })).toHaveLength(1);
});
