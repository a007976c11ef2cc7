import { expect, test } from "vitest";
import { createSpace } from "../adapters/space.js";
import { type Genome, type LayerShape, SUPPORTS } from "../adapters/structure.js";
import { rngStream } from "../base/rng.js";
import { evolve } from "./evolution.js";
import { gloraGenes } from "./genes.js";

const layers: LayerShape[] = [
  { name: "blocks.0.qkv", in: 16, out: 48, bias: true, addableBias: false },
  { name: "blocks.0.proj", in: 16, out: 16, bias: false, addableBias: true },
  { name: "blocks.0.fc1", in: 16, out: 64, bias: false, addableBias: false },
];
const space = createSpace(layers, { ranks: [1, 2, 4] });
const anything = { min: 0, max: 1e9 };

const entries = (genome: Genome) =>
  [...genome].flatMap(([layer, structure]) => SUPPORTS.map((support) => [layer, support, structure[support]] as const));

test("mutation redraws about the given share of the supports that have a choice", () => {
  const genes = gloraGenes(space, anything);
  const rng = rngStream(1, "genes");
  const parent = genes.random(rng);
  expect(genes.mutate(parent, 0, rng)).toEqual(parent);
  let changed = 0;
  for (let i = 0; i < 2000; i++) {
    const before = new Map(entries(parent).map(([layer, support, form]) => [layer + support, form]));
    changed += entries(genes.mutate(parent, 0.2, rng)).filter((e) => e[2] !== before.get(e[0] + e[1])).length;
  }
  // Each support that has a choice draws its own form again with the probability that drawing gives it.
  const drawn = (layer: string, support: (typeof SUPPORTS)[number], form: string) => {
    const forms = space.forms.get(layer)![support];
    const kinds = new Set(forms.map((f) => f.replace(/_.*/, "")));
    return 1 / kinds.size / forms.filter((f) => f.replace(/_.*/, "") === form.replace(/_.*/, "")).length;
  };
  const expected = entries(parent).reduce((sum, [l, s, form]) => sum + 0.2 * (1 - drawn(l, s, form)), 0);
  // About 1.5 changes of variance at most 1.5 a mutant: 4 standard errors of 2000 are 0.11.
  expect(Math.abs(changed / 2000 - expected)).toBeLessThan(0.11);
});

test("a crossover has each support from one of its parents, about half from each", () => {
  const genes = gloraGenes(space, anything);
  const rng = rngStream(2, "genes");
  let fromFirst = 0;
  let differing = 0;
  for (let i = 0; i < 500; i++) {
    const [a, b] = [genes.random(rng), genes.random(rng)];
    for (const [layer, support, form] of entries(genes.crossover(a, b, rng))) {
      const [x, y] = [a.get(layer)![support], b.get(layer)![support]];
      expect([x, y]).toContain(form);
      if (x === y) continue;
      differing++;
      if (form === x) fromFirst++;
    }
  }
  expect(differing).toBeGreaterThan(2000);
  expect(Math.abs(fromFirst / differing - 0.5)).toBeLessThan(0.045); // 4 standard errors of 2000
});

test("a search over GLoRA's structures stays in the space and the budget, and scores no function twice", async () => {
  const budget = { min: 150, max: 200 };
  const genes = gloraGenes(space, budget);
  const score = async (genome: Genome) => {
    const vectors = entries(genome).filter(([, , form]) => form === "vector").length;
    return { accuracy: vectors / 15, loss: 1 };
  };
  const { history } = await evolve({
    genes,
    score,
    seed: 3,
    population: 20,
    generations: 5,
    mutants: 10,
    crossovers: 10,
  });
  expect(history).toHaveLength(120);
  expect(new Set(history.map(({ key }) => key)).size).toBe(120);
  for (const { genome, parameters } of history) {
    expect(parameters).toBeGreaterThanOrEqual(150);
    expect(parameters).toBeLessThanOrEqual(200);
    for (const [layer, support, form] of entries(genome)) expect(space.forms.get(layer)![support]).toContain(form);
  }
});

test("a D without a bias makes no second candidate", () => {
  const genes = gloraGenes(space, anything);
  const genome = genes.random(rngStream(4, "genes"));
  const withD = (form: "scalar" | "none"): Genome =>
    new Map(genome).set("blocks.0.proj", { ...genome.get("blocks.0.proj")!, D: form });
  expect(genes.key(withD("scalar"))).toBe(genes.key(withD("none")));
  expect(genes.count(withD("scalar"))).toBe(genes.count(withD("none")));
});

test("a budget that no structure meets is refused before the search", () => {
  expect(() => gloraGenes(space, { min: 1e6, max: 2e6 })).toThrow(
    "No structure has between 1,000,000 and 2,000,000 adapter parameters.",
  );
});
