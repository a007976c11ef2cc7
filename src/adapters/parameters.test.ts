import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { buildEffective, effectiveLayout, planOf, supernetPlan } from "./effective.js";
import { embed, fixedTable, inherit, initialise, supernetTable, usedTensors } from "./parameters.js";
import { allStructures, effectiveMatrices, layerShape, product, storedTensor } from "./reference.fixtures.js";
import { createSpace, largestGenome, namedGenomes } from "./space.js";
import { type Genome, NO_CHANGE, type Structure } from "./structure.js";

const layer = layerShape("l", 7, 5);
const shapes = (table: ReturnType<typeof supernetTable>) => table.tensors.map(({ name, shape }) => [name, shape]);
const one = (structure: Partial<Structure>): Genome => new Map([["l", { ...NO_CHANGE, ...structure }]]);

test("the supernet holds one set of tensors a support, at the largest rank", () => {
  expect(shapes(supernetTable(createSpace([layer], { ranks: [1, 4] })))).toEqual([
    ["l.A.Xd", [7, 4]],
    ["l.A.Xu", [4, 5]],
    ["l.B.Xd", [7, 4]],
    ["l.B.Xu", [4, 5]],
    ["l.C.Xd", [5, 4]],
    ["l.C.Xu", [4, 1]],
    ["l.D.X", [7]],
    ["l.E.X", [7]],
  ]);
  const product = supernetTable(createSpace([layer], { a: "product", ranks: [2] }));
  expect(shapes(product).slice(0, 2)).toEqual([
    ["l.A.Xd", [5, 2]],
    ["l.A.Xu", [2, 5]],
  ]);
});

test("it holds only what some form of the space needs", () => {
  const space = createSpace([layer], {
    forms: { A: ["vector", "none"], B: ["scalar"], C: ["none"], D: ["none"], E: ["scalar", "none"] },
  });
  expect(shapes(supernetTable(space))).toEqual([
    ["l.A.Xd", [7, 1]],
    ["l.B.Xd", [1, 1]],
    ["l.E.X", [1]],
  ]);
});

test("a genome's own tensors have the shapes of an adapter file", () => {
  const shapesOf = (structure: Partial<Structure>) => shapes(fixedTable(one(structure), [layer], "elementwise"));
  expect(shapesOf({ A: "lora_2", B: "vector", C: "lora_3", D: "vector", E: "scalar" })).toEqual([
    ["l.A.Xd", [7, 2]],
    ["l.A.Xu", [2, 5]],
    ["l.B.X", [7, 1]],
    ["l.C.Xd", [5, 3]],
    ["l.C.Xu", [3, 1]],
    ["l.D.X", [7]],
    ["l.E.X", [1]],
  ]);
  expect(shapesOf({ A: "scalar", C: "vector" })).toEqual([
    ["l.A.X", [1]],
    ["l.C.X", [5, 1]],
  ]);
});

test("Xu starts Xavier-uniform, the rest at zero", () => {
  const wide = layerShape("l", 300, 200);
  const table = supernetTable(createSpace([wide], { ranks: [8] }));
  const params = initialise(table, rngStream(1, "init"));
  const up = storedTensor(params, table, "l.A.Xu")!.flat();
  const bound = Math.sqrt(6 / (8 + 200)); // torch: fan_in = columns, fan_out = rows
  expect(Math.max(...up.map(Math.abs))).toBeLessThanOrEqual(Math.fround(bound));
  // Uniform about 0: the mean's standard error is bound/√(3·1600); four of these.
  expect(Math.abs(up.reduce((x, y) => x + y, 0) / up.length)).toBeLessThan(0.058 * bound);
  // Variance bound²/3. Over 1600 draws its standard error is √(4/5/1600) = 2.2 % of it; four of these.
  const variance = up.reduce((sum, value) => sum + value ** 2, 0) / up.length;
  expect(Math.abs(variance / (bound ** 2 / 3) - 1)).toBeLessThan(0.09);
  const nonZero = table.tensors.filter(({ name }) =>
    storedTensor(params, table, name)!
      .flat()
      .some((x) => x !== 0),
  );
  expect(nonZero.map(({ name }) => name)).toEqual(["l.A.Xu", "l.B.Xu", "l.C.Xu"]);
  expect(initialise(table, rngStream(1, "init"))).toEqual(params);
});

test.each(["elementwise", "product"] as const)("every structure starts exactly equal to the base (%s)", (a) => {
  const space = createSpace([layer], { a, ranks: [1, 3] });
  const table = supernetTable(space);
  const params = initialise(table, rngStream(2, "init"));
  for (const structure of allStructures(a, 3)) {
    const genome = one(structure);
    const own = fixedTable(genome, [layer], a);
    for (const [values, of, plans] of [
      [params, table, supernetPlan(space)],
      [initialise(own, rngStream(3, "init")), own, planOf(genome, [layer], a)],
    ] as const) {
      const layout = effectiveLayout(plans, [layer]);
      const effective = new Float32Array(layout.size);
      buildEffective(values, of, genome, layout, effective);
      const t = effectiveMatrices(layout, "l", effective);
      const ones = [...t.scale, ...t.d, ...product(t.Ad, t.Au)].flat();
      const zeros = [...product(t.Bd, t.Bu), ...product(t.Pd, t.Pu), ...t.c, ...t.e].flat();
      expect(ones.every((value) => value === 1)).toBe(true);
      expect(zeros.every((value) => value === 0)).toBe(true);
    }
  }
});

test("forms are entangled: a genome inherits the first columns and rows, and gives them back", () => {
  const space = createSpace([layer], { ranks: [1, 4] });
  const table = supernetTable(space);
  const params = Float32Array.from({ length: table.size }, (_, i) => i + 1);
  const genome = one({ A: "lora_2", B: "vector", C: "lora_1", D: "scalar", E: "vector" });
  const own = fixedTable(genome, [layer], "elementwise");
  const values = inherit(params, table, own);
  const shared = (name: string) => storedTensor(params, table, name)!;
  expect(storedTensor(values, own, "l.A.Xd")).toEqual(shared("l.A.Xd").map((row) => row.slice(0, 2)));
  expect(storedTensor(values, own, "l.A.Xu")).toEqual(shared("l.A.Xu").slice(0, 2));
  expect(storedTensor(values, own, "l.B.X")).toEqual(shared("l.B.Xd").map((row) => row.slice(0, 1)));
  expect(storedTensor(values, own, "l.C.Xd")).toEqual(shared("l.C.Xd").map((row) => row.slice(0, 1)));
  expect(storedTensor(values, own, "l.D.X")).toEqual([[shared("l.D.X")[0]![0]]]);
  expect(storedTensor(values, own, "l.E.X")).toEqual(shared("l.E.X"));

  const back = new Float32Array(table.size);
  embed(values, own, back, table);
  expect(inherit(back, table, own)).toEqual(values);
  expect(back.filter((value) => value !== 0).length).toBe(own.size);
  expect(back.every((value, i) => value === 0 || value === params[i])).toBe(true);
});

test("what the space has no room for is refused by layer, support and shape", () => {
  const supernet = supernetTable(createSpace([layer], { ranks: [2], forms: { E: ["scalar"], D: ["none"] } }));
  const into = (structure: Partial<Structure>) => () =>
    inherit(new Float32Array(supernet.size), supernet, fixedTable(one(structure), [layer], "elementwise"));
  expect(into({ B: "lora_4" })).toThrow(
    'Support B of "l" does not fit the space: expected at most [7, 2] for Xd, found [7, 4].',
  );
  expect(into({ E: "vector" })).toThrow("expected at most [1] for X, found [7]");
  expect(into({ D: "scalar" })).toThrow("expected at most nothing for X, found [1]");
  expect(into({ B: "lora_1", E: "scalar" })).not.toThrow();
});

test("a vector uses Xd, low rank also Xu, an absent support nothing", () => {
  const space = createSpace([layer], { ranks: [4] });
  const table = supernetTable(space);
  const used = (genome: Genome) =>
    table.tensors.filter((_, i) => usedTensors(genome, table)[i] === 1).map(({ name }) => name.slice(2));
  expect(used(one({ A: "vector", B: "lora_4", E: "scalar" }))).toEqual(["A.Xd", "B.Xd", "B.Xu", "E.X"]);
  expect(used(new Map())).toEqual([]);
  expect(used(largestGenome(space))).toHaveLength(table.tensors.length);
  expect(namedGenomes(space).size).toBeGreaterThan(2);
});
