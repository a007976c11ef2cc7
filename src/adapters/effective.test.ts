import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import {
  buildEffective,
  choices,
  type EmissionPlan,
  effectiveLayout,
  planOf,
  pullBackAll,
  supernetPlan,
} from "./effective.js";
import { fixedTable, inherit, type ParameterTable, supernetTable } from "./parameters.js";
import {
  allStructures,
  difference,
  emitted,
  layerShape,
  linear,
  naiveMerge,
  nameOf,
  randomMatrix,
  reshape,
} from "./reference.fixtures.js";
import { createSpace } from "./space.js";
import type { AForm, Genome, LayerShape, Structure } from "./structure.js";

const forms = [
  { a: "elementwise" as const, bias: true },
  { a: "elementwise" as const, bias: false },
  { a: "product" as const, bias: true },
  { a: "product" as const, bias: false },
];

/** A supernet of ranks 1 and 3 over one layer, random values everywhere, and the fixed parameters of a structure. */
function arrange(a: AForm, layer: LayerShape, structure: Structure) {
  const rng = rngStream(5, nameOf(structure));
  const space = createSpace([layer], { a, ranks: [1, 3] });
  const table = supernetTable(space);
  const params = Float32Array.from({ length: table.size }, () => rng.normal());
  const genome: Genome = new Map([[layer.name, structure]]);
  const own = fixedTable(genome, [layer], a);
  const layouts = {
    supernet: { table, params, layout: effectiveLayout(supernetPlan(space), [layer]) },
    fixed: {
      table: own,
      params: inherit(params, table, own),
      layout: effectiveLayout(planOf(genome, [layer], a), [layer]),
    },
  };
  return { rng, genome, layouts };
}

describe.each(forms)("$a, bias: $bias", ({ a, bias }) => {
  const layer = layerShape("layer", 4, 5, bias, !bias);
  const structures = [...allStructures(a, 3), ...allStructures(a, 1)].filter(({ D }) => bias || D === "none");

  test("effective tensors give the authors' formula, in the supernet and fixed", () => {
    expect(structures.length).toBe(2 * (a === "product" ? 216 : 432) * (bias ? 1 : 1 / 3));
    for (const structure of structures) {
      const { rng, genome, layouts } = arrange(a, layer, structure);
      const W = randomMatrix(4, 5, rng);
      const b = bias ? randomMatrix(1, 4, rng)[0]! : undefined;
      const x = randomMatrix(6, 5, rng);
      const base = linear(x, W, b ?? [0, 0, 0, 0]);
      for (const { table, params, layout } of Object.values(layouts)) {
        const merged = naiveMerge(layer, W, b, structure, params, table);
        const expected = linear(x, merged.W, merged.b);
        const effective = new Float32Array(layout.size).fill(Number.NaN);
        buildEffective(params, table, genome, layout, effective);
        const { y } = emitted(
          layout,
          layer.name,
          effective,
          W,
          b,
          x,
          x.map((row) => [...row.slice(1)]),
        );
        // 1 + s, 1 + D and c = Xd·Xu are rounded to float32: 6e-8 of values near 1, times sums of a few terms.
        expect(difference(y, expected), nameOf(structure)).toBeLessThan(2e-6);
        if (Object.values(structure).some((form) => form !== "none")) {
          expect(difference(expected, base), nameOf(structure)).toBeGreaterThan(1e-3);
        }
      }
    }
  });

  test("pullBack is the adjoint of effective: ⟨J·v, g⟩ = ⟨v, Jᵀ·g⟩", () => {
    for (const structure of structures) {
      const { rng, genome, layouts } = arrange(a, layer, structure);
      for (const { table, params, layout } of Object.values(layouts)) {
        const v = params.map(() => rng.normal());
        const g = new Float32Array(layout.size).map(() => rng.normal());
        // effective is at most quadratic in the stored numbers, so the central difference is exact but for rounding.
        const at = (sign: number) => {
          const effective = new Float32Array(layout.size);
          buildEffective(
            params.map((p, i) => p + sign * v[i]!),
            table,
            genome,
            layout,
            effective,
          );
          return effective;
        };
        const [plus, minus] = [at(1), at(-1)];
        const left = g.reduce((sum, value, i) => sum + (value * (plus[i]! - minus[i]!)) / 2, 0);
        const gradient = new Float32Array(table.size).fill(Number.NaN);
        pullBackAll(g, params, table, genome, layout, gradient);
        const right = v.reduce((sum, value, i) => sum + value * gradient[i]!, 0);
        // float32 sums of at most 100 products of numbers near 1
        expect(Math.abs(left - right), nameOf(structure)).toBeLessThan(3e-5);
      }
    }
  });
});

interface Fixture {
  out: number;
  in: number;
  rows: number;
  rank: number;
  W: number[];
  b: number[];
  x: number[];
  dy: number[];
  stored: Record<AForm, Record<string, number[]>>;
  cases: { a: AForm; bias: boolean; structure: Structure; y: number[]; gradients: Record<string, number[]> }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../../test/fixtures/adapters/gradients.fixtures.json", import.meta.url), "utf8"),
);

/** Flat parameters from named tensors; what is not named is zero. */
function gather(table: ParameterTable, named: Record<string, number[]>): Float32Array {
  const values = new Float32Array(table.size);
  for (const { support, part, offset } of table.tensors) values.set(named[`${support}.${part}`] ?? [], offset);
  return values;
}

test.each(fixture.cases)("PyTorch: output and gradients of $structure ($a, bias: $bias)", (each) => {
  const { a, bias, structure } = each;
  const { out, in: inputs, rows, rank } = fixture;
  const layer = layerShape("layer", out, inputs, bias, !bias);
  const space = createSpace([layer], { a, ranks: [1, 2, rank] });
  const genome: Genome = new Map([["layer", structure]]);
  const table = supernetTable(space);
  const params = gather(table, fixture.stored[a]);
  const reference = gather(table, each.gradients);
  const own = fixedTable(genome, [layer], a);
  const W = reshape(fixture.W, out, inputs);
  const both = [
    { table, params, reference, plans: supernetPlan(space) },
    {
      table: own,
      params: inherit(params, table, own),
      reference: inherit(reference, table, own),
      plans: planOf(genome, [layer], a),
    },
  ];
  for (const { table, params, reference, plans } of both) {
    const layout = effectiveLayout(plans, [layer]);
    const effective = new Float32Array(layout.size);
    buildEffective(params, table, genome, layout, effective);
    const x = reshape(fixture.x, rows, inputs);
    const dy = reshape(fixture.dy, rows, out);
    const { y, gradient } = emitted(layout, "layer", effective, W, bias ? fixture.b : undefined, x, dy);
    const grad = new Float32Array(table.size);
    pullBackAll(gradient, params, table, genome, layout, grad);
    // PyTorch computed in float64; ours is stored in float32 between the steps.
    expect(difference(y, reshape(each.y, rows, out))).toBeLessThan(1e-6);
    expect(reference.some((value) => value !== 0)).toBe(true);
    expect(difference([[...grad]], [[...reference]])).toBeLessThan(1e-6);
  }
});

test("a fixed plan holds only what its structure needs, the supernet's what any form needs", () => {
  const layer = layerShape("l", 4, 5);
  const plan = (structure: Partial<Structure>, of = layer): EmissionPlan => {
    const none: Structure = { A: "none", B: "none", C: "none", D: "none", E: "none" };
    return planOf(new Map([["l", { ...none, ...structure }]]), [of], "elementwise").get("l")!;
  };
  const nothing = { scale: false, lowA: 0, lowB: 0, productA: 0, c: false, d: false, e: false, choose: false };
  expect(plan({})).toEqual(nothing);
  expect(plan({ A: "scalar", B: "vector" })).toEqual({ ...nothing, scale: true, lowB: 1 });
  expect(plan({ A: "lora_4", B: "lora_2", C: "vector" })).toEqual({ ...nothing, lowA: 4, lowB: 2, c: true });
  expect(plan({ D: "scalar", E: "vector" })).toEqual({ ...nothing, d: true, e: true });
  expect(plan({ D: "scalar" }, layerShape("l", 4, 5, false))).toEqual(nothing);
  const supernet = (a: AForm) => supernetPlan(createSpace([layer], { a, ranks: [2, 3] })).get("l");
  const whole = { scale: true, lowA: 3, lowB: 3, productA: 0, c: true, d: true, e: true, choose: true };
  expect(supernet("elementwise")).toEqual(whole);
  expect(supernet("product")).toEqual({ ...whole, scale: false, lowA: 0, productA: 3 });
});

test("segments follow each other layer by layer in the documented order", () => {
  const layers = [layerShape("one", 4, 5), layerShape("two", 3, 2, false)];
  const layout = effectiveLayout(supernetPlan(createSpace(layers, { ranks: [2] })), layers);
  const all = [...layout.layers.values()].flatMap(({ segments }) => Object.entries(segments));
  const shapes = { scale: [4], Ad: [4, 3], Au: [3, 5], Bd: [4, 2], Bu: [2, 5], c: [5], d: [4], e: [4] };
  const second = { scale: [3], Ad: [3, 3], Au: [3, 2], Bd: [3, 2], Bu: [2, 2] };
  expect(all.map(([name, { shape }]) => [name, shape])).toEqual([...Object.entries(shapes), ...Object.entries(second)]);
  let end = 0;
  for (const [, { offset, shape }] of all) {
    expect(offset).toBe(end);
    end += shape.reduce((x, y) => x * y);
  }
  expect(layout.size).toBe(end);
  const some = effectiveLayout(new Map(), layers);
  expect(some).toEqual({ layers: new Map(), size: 0 });
});

test("choices are two bytes a choosing layer", () => {
  const layers = [layerShape("one", 4, 5), layerShape("two", 4, 5), layerShape("three", 4, 5)];
  const structure = (A: Structure["A"], C: Structure["C"]): Structure => ({ A, B: "none", C, D: "none", E: "none" });
  const genome: Genome = new Map([
    ["one", structure("lora_1", "none")],
    ["two", structure("vector", "lora_1")],
  ]);
  expect([...choices(genome, supernetPlan(createSpace(layers)))]).toEqual([1, 0, 0, 1, 0, 0]);
  expect([...choices(genome, planOf(genome, layers, "elementwise"))]).toEqual([]);
});

test("a form that the graph or the parameters have no place for is refused by name", () => {
  const layer = layerShape("encoder.0.attn", 4, 5);
  const genome = (A: Structure["A"]): Genome =>
    new Map([["encoder.0.attn", { A, B: "none", C: "none", D: "none", E: "none" }]]);
  const small = genome("lora_1");
  const table = fixedTable(genome("lora_2"), [layer], "elementwise");
  const build = (plan: Genome, drawn: Genome) => {
    const layout = effectiveLayout(planOf(plan, [layer], "elementwise"), [layer]);
    buildEffective(new Float32Array(table.size), table, drawn, layout, new Float32Array(layout.size));
  };
  build(genome("lora_2"), small);
  expect(() => build(small, genome("lora_2"))).toThrow(
    'Support A of "encoder.0.attn" is lora_2, for which there is no place in the graph: build them from',
  );
  expect(() => build(small, genome("vector"))).toThrow("is vector, for which there is no place in the graph");
  const other: Genome = new Map([["elsewhere", genome("vector").get("encoder.0.attn")!]]);
  expect(() => build(small, other)).toThrow(
    'Support A of "elsewhere" is vector, for which there is no place in the parameters',
  );
});
