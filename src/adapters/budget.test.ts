import { describe, expect, test } from "vitest";
import type { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import { assertFeasible, count, feasibility, repair } from "./budget.js";
import { presetSpace } from "./presets.js";
import { layerShape } from "./reference.fixtures.js";
import { createSpace, drawGenome, formsOf, largestGenome, type Space, smallestGenome } from "./space.js";
import { type Form, type Genome, NO_CHANGE, SUPPORTS } from "./structure.js";

test("parameters are counted as the paper's table says", () => {
  const [layer, bare] = [layerShape("l", 7, 5), layerShape("l", 7, 5, false, true)];
  const of = (structure: Partial<Record<(typeof SUPPORTS)[number], Form>>, shape = layer, a?: "product") =>
    count(new Map([["l", { ...NO_CHANGE, ...structure }]]), [shape], a);
  expect([of({ A: "lora_3" }), of({ B: "lora_3" }), of({ C: "lora_3" })]).toEqual([3 * 12, 3 * 12, 3 * 6]);
  expect(SUPPORTS.map((support) => of({ [support]: "vector" }))).toEqual([7, 7, 5, 7, 7]);
  expect(["A", "B", "D", "E"].map((support) => of({ [support]: "scalar" }))).toEqual([1, 1, 1, 1]);
  expect(of({ A: "lora_3" }, layer, "product")).toBe(2 * 3 * 5);
  expect(of({ D: "vector", E: "vector" }, bare)).toBe(7);
  expect(count(new Map(), [layer])).toBe(0);
});

/** Every count of a space, by trying all its genomes. */
function bruteForce(space: Space): Set<number> {
  let sums = new Set([0]);
  for (const layer of space.layers) {
    for (const support of SUPPORTS) {
      const next = new Set<number>();
      for (const form of formsOf(space, layer.name)[support]) {
        const alone = count(new Map([[layer.name, { ...NO_CHANGE, [support]: form }]]), [layer], space.a);
        for (const sum of sums) next.add(sum + alone);
      }
      sums = next;
    }
  }
  return sums;
}

describe.each<[string, Space]>([
  ["whole", createSpace([layerShape("a", 40, 30), layerShape("b", 17, 90, false)], { ranks: [1, 4] })],
  [
    "no scalars",
    createSpace([layerShape("a", 64, 64)], {
      ranks: [2],
      forms: { A: ["lora", "vector"], B: ["none", "vector"], D: ["none"], E: ["none"] },
    }),
  ],
  ["product", createSpace([layerShape("a", 30, 50), layerShape("b", 50, 30)], { a: "product", ranks: [1, 3] })],
  ["linear", createSpace([])],
])("%s space", (_name, space) => {
  const counts = bruteForce(space);
  const sorted = [...counts].sort((x, y) => x - y);

  test("feasibility agrees with brute force, for every interval of three widths", () => {
    for (const width of [0, 7, 60]) {
      for (let min = 0; min <= sorted.at(-1)! + 5; min++) {
        const max = min + width;
        const found = feasibility(space, { min, max });
        expect(found).toEqual({
          feasible: sorted.some((n) => n >= min && n <= max),
          smallest: sorted[0],
          largest: sorted.at(-1),
          below: sorted.findLast((n) => n <= max),
          above: sorted.find((n) => n >= min),
        });
      }
    }
  });

  test("repair meets every reachable count to the parameter, alone or within a few that are not reachable", () => {
    const rng = rngStream(1, "repair");
    for (const exact of sorted.filter((_, i) => i % Math.ceil(sorted.length / 60) === 0)) {
      for (const slack of [0, 9]) {
        const budget = { min: exact - slack, max: exact + slack };
        const genome = repair(drawGenome(space, rng), space, budget, rng);
        expect(Math.abs(count(genome, space.layers, space.a) - exact)).toBeLessThanOrEqual(slack);
        expect([...genome.keys()]).toEqual(space.layers.map(({ name }) => name));
        for (const { name } of space.layers) {
          for (const support of SUPPORTS) expect(formsOf(space, name)[support]).toContain(genome.get(name)![support]);
        }
      }
    }
  });
});

const vit = createSpace(
  Array.from({ length: 12 }, (_, i) => [
    layerShape(`${i}.q`, 768, 768),
    layerShape(`${i}.k`, 768, 768),
    layerShape(`${i}.v`, 768, 768),
    layerShape(`${i}.proj`, 768, 768),
    layerShape(`${i}.fc1`, 3072, 768),
    layerShape(`${i}.fc2`, 768, 3072),
  ]).flat(),
);

test("repair brings draws of a ViT-B space inside the published budgets, from both sides", () => {
  const rng = rngStream(3, "repair");
  const wide = { min: 0, max: 290_000 };
  expect(count(drawGenome(vit, rng), vit.layers)).toBeGreaterThan(wide.max); // a draw alone does not meet it
  const budgets = [wide, { min: 430_000, max: 440_000 }, { min: 2_000_000, max: 2_001_000 }];
  for (const budget of budgets) {
    for (const start of [drawGenome(vit, rng), smallestGenome(vit), largestGenome(vit)]) {
      const before = new Map(start);
      const total = count(repair(start, vit, budget, rng), vit.layers);
      expect(total).toBeGreaterThanOrEqual(budget.min);
      expect(total).toBeLessThanOrEqual(budget.max);
      expect(start).toEqual(before);
    }
  }
});

test("a genome that is inside stays as it is", () => {
  const rng = rngStream(5, "repair");
  const genome = drawGenome(vit, rng);
  expect(repair(genome, vit, { min: 0, max: Number.POSITIVE_INFINITY }, rng)).toEqual(genome);
});

test("moves are to a cheaper form: an over-large genome keeps most of its forms", () => {
  const rng = rngStream(6, "repair");
  const genome = drawGenome(vit, rng);
  const budget = count(genome, vit.layers) - 1;
  const repaired = repair(genome, vit, { min: 0, max: budget }, rng);
  const changed = [...genome].flatMap(([name, s]) => SUPPORTS.filter((x) => s[x] !== repaired.get(name)![x]));
  expect(changed).toHaveLength(1); // any cheaper form suffices here
});

test("a budget that the moves jump over is met all the same", () => {
  // Inside are only the two small biases together: a move meets one of them in one of 40 times, and seldom both in a row.
  const shapes = Array.from({ length: 42 }, (_, i) => layerShape(`${i}`, i < 40 ? 1000 : 1, 4));
  const space = presetSpace("bitfit", shapes);
  const forms = new Map(shapes.map(({ name }) => [name, { ...formsOf(space, name), E: ["vector", "none"] as const }]));
  const choice: Space = { ...space, forms };
  for (let seed = 0; seed < 20; seed++) {
    const rng = rngStream(seed, "repair");
    expect(count(repair(drawGenome(choice, rng), choice, { min: 2, max: 500 }, rng), shapes)).toBe(2);
  }
});

test("what cannot be met is said with the counts that can", () => {
  const space = createSpace([layerShape("a", 100, 50)], {
    ranks: [8],
    forms: { A: ["none"], B: ["lora"], C: ["none"], D: ["none", "vector"], E: ["none"] },
  });
  const refused = (min: number, max: number): GloraError => {
    try {
      repair(smallestGenome(space), space, { min, max }, rngStream(1, "x"));
    } catch (thrown) {
      return thrown as GloraError;
    }
    throw new Error("was not refused");
  };
  expect(refused(1201, 1299).message).toBe(
    "No structure has between 1,201 and 1,299 adapter parameters. This space reaches from 1,200 to 1,300; nearest to " +
      "the budget: 1,200 below, 1,300 above. Change the budget, the ranks or the layers.",
  );
  expect(refused(1201, 1299).code).toBe("BUDGET");
  expect(refused(0, 1000).message).toContain("nearest to the budget: 1,200 above.");
  expect(refused(5000, 6000).message).toContain("nearest to the budget: 1,300 below.");
  expect(assertFeasible(space, { min: 0, max: 1e9 })).toEqual({ min: 1200, max: 1300 });
});

test("a genome from elsewhere is refused by layer and support", () => {
  const space = createSpace([layerShape("a", 4, 4)], { ranks: [2] });
  const genome: Genome = new Map([["a", { ...NO_CHANGE, B: "lora_4" }]]);
  expect(() => repair(genome, space, { min: 0, max: 10 }, rngStream(1, "x"))).toThrow(
    'The space does not offer lora_4 for support B of "a".',
  );
});
