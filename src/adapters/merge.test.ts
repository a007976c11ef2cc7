import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { mergeLinear } from "./merge.js";
import { fixedTable, inherit, supernetTable } from "./parameters.js";
import {
  allStructures,
  difference,
  layerShape,
  naiveMerge,
  nameOf,
  randomMatrix,
  reshape,
} from "./reference.fixtures.js";
import { createSpace } from "./space.js";
import { type Genome, NO_CHANGE, type Structure } from "./structure.js";

const cases = [
  { a: "elementwise" as const, bias: true },
  { a: "elementwise" as const, bias: false },
  { a: "product" as const, bias: true },
  { a: "product" as const, bias: false },
];

test.each(cases)("every structure merges to the authors' formula ($a, bias: $bias)", ({ a, bias }) => {
  const layer = layerShape("l", 4, 5, bias, !bias);
  const rng = rngStream(8, "merge");
  const supernet = supernetTable(createSpace([layer], { a, ranks: [1, 3] }));
  const params = Float32Array.from({ length: supernet.size }, () => rng.normal());
  const W = randomMatrix(4, 5, rng);
  const b = randomMatrix(1, 4, rng)[0]!;
  const frozen = { W: Float32Array.from(W.flat()), ...(bias ? { b: Float32Array.from(b) } : {}) };
  const untouched = structuredClone(frozen);
  for (const structure of [...allStructures(a, 3), ...allStructures(a, 1)]) {
    const table = fixedTable(new Map([["l", structure]]), [layer], a);
    // D on a layer without a bias is only in files from elsewhere; the supernet holds none to inherit.
    const values =
      !bias && structure.D !== "none" ? new Float32Array(table.size).fill(0.5) : inherit(params, supernet, table);
    const merged = mergeLinear(layer, frozen, structure, values, table);
    const expected = naiveMerge(layer, W, bias ? b : undefined, structure, values, table);
    // One rounding to float32, 6e-8, of the exact value
    expect(difference(reshape(merged.W, 4, 5), expected.W), nameOf(structure)).toBeLessThan(1e-7);
    const biased = bias || structure.C !== "none" || structure.E !== "none";
    expect(merged.b !== undefined, nameOf(structure)).toBe(biased);
    if (merged.b) expect(difference([[...merged.b]], [expected.b]), nameOf(structure)).toBeLessThan(1e-7);
  }
  expect(frozen).toEqual(untouched);
});

test("an adapter that changes nothing merges to the same bits", () => {
  const layer = layerShape("l", 4, 5);
  const rng = rngStream(9, "merge");
  const frozen = { W: Float32Array.from(randomMatrix(4, 5, rng).flat()), b: Float32Array.from([1, 2, 3, 4]) };
  const structure: Structure = { A: "lora_2", B: "vector", C: "lora_2", D: "vector", E: "scalar" };
  const table = fixedTable(new Map([["l", structure]]), [layer], "elementwise");
  expect(mergeLinear(layer, frozen, structure, new Float32Array(table.size), table)).toEqual(frozen);
});

test("a value that is not finite is refused, naming layer and support", () => {
  const layer = layerShape("encoder.3.fc1", 2, 2);
  const frozen = { W: Float32Array.from([1, 2, 3, 4]), b: Float32Array.from([1, 1]) };
  const merge = (structure: Partial<Structure>, at: number, value: number, from = frozen) => {
    const genome: Genome = new Map([[layer.name, { ...NO_CHANGE, ...structure }]]);
    const table = fixedTable(genome, [layer], "elementwise");
    const params = new Float32Array(table.size);
    params[at] = value;
    return () => mergeLinear(layer, from, genome.get(layer.name)!, params, table);
  };
  expect(merge({ B: "vector", E: "vector" }, 3, Number.NaN)).toThrow(
    'Support E of "encoder.3.fc1" cannot be merged: encoder.3.fc1.E.X holds NaN at element 1.',
  );
  expect(merge({ A: "scalar" }, 0, 3e38)).toThrow(
    'Support A or B of "encoder.3.fc1" cannot be merged: the merged weight would hold Infinity at element 1.',
  );
  expect(merge({ C: "vector" }, 1, -3e38)).toThrow("Support C, D or E of");
  const broken = { ...frozen, W: Float32Array.from([1, Number.NaN, 3, 4]) };
  expect(merge({ E: "scalar" }, 0, 1, broken)).toThrow("the merged weight would hold NaN at element 1");
});
