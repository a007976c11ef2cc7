import { afterAll, describe, expect, test } from "vitest";
import { gradientsOf } from "../autodiff/backward.js";
import { rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { openFile } from "../formats/file.node.js";
import { readFloat32, readSafetensors } from "../formats/safetensors.js";
import { inlineFloat32 } from "../ir/builder.js";
import type { Graph, Value } from "../ir/graph.js";
import { createBuilder } from "../ops/index.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import {
  buildEffective,
  choices,
  type EffectiveLayout,
  effectiveLayout,
  type Plans,
  planOf,
  pullBackAll,
  type SegmentName,
  supernetPlan,
} from "./effective.js";
import { type AdaptedLayer, adaptLinears } from "./emit.js";
import { type LinearWeights, mergeLinear } from "./merge.js";
import {
  embed,
  fixedTable,
  initialise,
  type ParameterTable,
  type StoredParameter,
  supernetTable,
} from "./parameters.js";
import { allStructures, layerShape, linear, nameOf, reshape } from "./reference.fixtures.js";
import { createSpace, drawGenome, formsOf } from "./space.js";
import { type AForm, acts, type Genome, type LayerShape, type Structure, SUPPORTS } from "./structure.js";

const [OUT, IN, ROWS] = [5, 7, 11];
const RANKS = [1, 2, 3];

/** By name; written by scripts/fixtures/emit.py, which says what they are. */
const fixture = await (async () => {
  const path = new URL("../../test/fixtures/emit/structures.safetensors", import.meta.url).pathname;
  const { tensors } = await readSafetensors(await openFile(path));
  const read = [...tensors].map(async ([name, entry]) => [name, await readFloat32(entry)] as const);
  return new Map(await Promise.all(read));
})();
const values = (name: string): Float32Array => fixture.get(name)!;

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

// ---- graphs

interface Results {
  /** [layers, rows, out] */
  readonly y: Float32Array;
  /** Of Σ y ⊙ dy, packed. */
  readonly gradient: Float32Array;
  /** The layer without adapters, [rows, out]. */
  readonly base: Float32Array;
}

/** A session of one frozen layer, adapted in as many ways as the layout has layers, all on one input. */
async function openLayers(layout: EffectiveLayout, { W, b }: LinearWeights, rows = ROWS) {
  const [{ layer }] = layout.layers.values() as unknown as [{ layer: LayerShape }];
  const g = createBuilder();
  const x = g.input("x", "float32", [rows, layer.in]);
  const dy = g.input("dy", "float32", [rows, layer.out]);
  const packed = g.input("packed", "float32", [layout.size]);
  const names = [...layout.layers.keys()];
  const segments = [...layout.layers].flatMap(([name, { segments }]) =>
    Object.entries(segments).map(([part, { shape }]) => ({ name, part: part as SegmentName, shape })),
  );
  const lengths = segments.map(({ shape }) => shape.reduce((a, n) => a * n));
  const effective = new Map(names.map((name) => [name, {} as Partial<Record<SegmentName, Value>>]));
  g.split(packed, lengths, 0).forEach((piece, i) => {
    const { name, part, shape } = segments[i]!;
    effective.get(name)![part] = g.reshape(piece, shape);
  });
  const [{ plan }] = layout.layers.values() as unknown as [{ plan: { choose: boolean } }];
  const [lowA, drawnC] = plan.choose ? g.split(g.input("choices", "bool", [2]), [1, 1], 0) : [];
  const weight = g.initializer("W", [layer.out, layer.in], inlineFloat32(W, [layer.out, layer.in]));
  const bias = b && g.initializer("b", [layer.out], inlineFloat32(b, [layer.out]));
  const outputs = names.map((name) => g.linear(x, weight, bias, { layer: name }));
  g.output("base", g.linear(x, weight, bias));
  const y = g.reshape(g.concat(outputs, 0), [outputs.length, rows, layer.out]);
  g.output("y", y);
  g.output("loss", g.reduceSum(g.mul(y, dy), [0, 1, 2]));

  const adapted: [string, AdaptedLayer][] = names.map((name) => [
    name,
    { effective: effective.get(name)!, ...(lowA && drawnC && { choices: { lowA, drawnC } }) },
  ]);
  const graph: Graph = adaptLinears(g.graph, new Map(adapted));
  const back = createBuilder(graph);
  back.output("gradient", gradientsOf(back, graph.outputs.find((o) => o.name === "loss")!.value, [packed])[0]!);
  const session = await runtime.open(graph);
  return async (inputs: { x: Float32Array; dy: Float32Array; packed: Float32Array; choices?: Uint8Array }) => {
    const float = (data: Float32Array, ...shape: number[]): Tensor => ({ dtype: "float32", shape, data });
    const found = await session.run({
      x: float(inputs.x, rows, layer.in),
      dy: float(inputs.dy, rows, layer.out),
      packed: float(inputs.packed, layout.size),
      ...(plan.choose && { choices: { dtype: "bool", shape: [2], data: inputs.choices! } }),
    });
    const { y, gradient, base } = found as unknown as Record<keyof Results, { data: Float32Array }>;
    return { y: y.data, gradient: gradient.data, base: base.data } satisfies Results;
  };
}

type Run = Awaited<ReturnType<typeof openLayers>>;

/** Runs genomes over the layers of a table with these stored values. */
async function adapt(
  run: Run,
  { params, table, genome, layout, plans }: Arranged,
  x = values("x"),
  dy = values("dy"),
): Promise<Results> {
  const packed = new Float32Array(layout.size);
  buildEffective(params, table, genome, layout, packed);
  const found = await run({ x, dy, packed, choices: choices(genome, plans) });
  const gradient = new Float32Array(table.size);
  pullBackAll(found.gradient, params, table, genome, layout, gradient);
  return { ...found, gradient };
}

interface Arranged {
  readonly params: Float32Array;
  readonly table: ParameterTable;
  readonly genome: Genome;
  readonly layout: EffectiveLayout;
  readonly plans: Plans;
}

// ---- structures

const withRanks = (structure: Structure, ranks: Partial<Record<"A" | "B" | "C", number>>): Structure => ({
  ...structure,
  ...Object.fromEntries(
    Object.entries(ranks)
      .filter(([support]) => structure[support as "A"].startsWith("lora"))
      .map(([support, rank]) => [support, `lora_${rank}`]),
  ),
});

/** The rows of a table of the fixture that belongs to a tensor of the layer: [rows, columns] of [rows, 3]. */
function block(prefix: string, { support, part, shape }: StoredParameter): Float32Array {
  const whole = values(`${prefix}${support}.${part === "X" && "ABC".includes(support) ? "Xd" : part}`);
  const [rows, columns = 1] = shape as [number, number?];
  const stride = part === "Xu" ? columns : "ABC".includes(support) ? RANKS.at(-1)! : 1;
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    return whole[Math.floor(i / columns) * stride + (i % columns)]!;
  });
}

function storedValues(table: ParameterTable): Float32Array {
  const params = new Float32Array(table.size);
  for (const tensor of table.tensors) params.set(block(`${table.a}.`, tensor), tensor.offset);
  return params;
}

/** Every structure as a layer of its own, in the cheapest arithmetic. */
function fixedLayers(structures: readonly Structure[], a: AForm, bias: boolean): Arranged & { layers: LayerShape[] } {
  const layers = structures.map((_, i) => layerShape(`${i}`, OUT, IN, bias, !bias));
  const genome: Genome = new Map(structures.map((structure, i) => [`${i}`, structure]));
  const table = fixedTable(genome, layers, a);
  const plans = planOf(genome, layers, a);
  return { params: storedValues(table), table, genome, plans, layout: effectiveLayout(plans, layers), layers };
}

/** One layer that takes any structure. */
function supernetLayer(a: AForm, bias: boolean) {
  const layer = layerShape("layer", OUT, IN, bias, !bias);
  const space = createSpace([layer], { a, ranks: RANKS });
  const table = supernetTable(space);
  const plans = supernetPlan(space);
  return { params: storedValues(table), table, plans, layout: effectiveLayout(plans, [layer]), layer, space };
}

// ---- comparison

const largest = (v: Float32Array): number => v.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
/** max|x − y| / max|y| */
const distance = (x: Float32Array, y: Float32Array): number => largest(x.map((v, i) => v - y[i]!)) / largest(y);
const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0);

const NAMES = ["A.Xd", "A.Xu", "B.Xd", "B.Xu", "C.Xd", "C.Xu", "D.X", "E.X"];

/** What the fixture holds of a structure: inner products of y and of the gradients with its random tensors. */
function projections(y: Float32Array, gradient: Float32Array, table: ParameterTable, layer: string): number[] {
  const found = new Map<string, number>();
  for (const tensor of table.tensors.filter((t) => t.layer === layer)) {
    const { support, part, offset } = tensor;
    const v = block(`${table.a}.v.`, tensor);
    const name = `${support}.${part === "X" && "ABC".includes(support) ? "Xd" : part}`;
    found.set(name, dot(gradient.subarray(offset, offset + v.length), v));
  }
  return [dot(y, values("v.y")), ...NAMES.map((name) => found.get(name) ?? 0)];
}

const kinds = [
  { a: "elementwise" as const, bias: true, rows: "true", ranks: {} },
  { a: "elementwise" as const, bias: false, rows: "false", ranks: {} },
  { a: "elementwise" as const, bias: true, rows: "ranks", ranks: { A: 3, B: 2, C: 1 } },
  { a: "product" as const, bias: true, rows: "true", ranks: {} },
  { a: "product" as const, bias: false, rows: "false", ranks: {} },
  { a: "product" as const, bias: true, rows: "ranks", ranks: { A: 3, B: 2, C: 1 } },
];

describe.each(kinds)("every structure of $a A, bias: $bias, $rows", async ({ a, bias, rows, ranks }) => {
  const structures = allStructures(a, 3).map((structure) => withRanks(structure, ranks));
  const frozen: LinearWeights = { W: values("W"), ...(bias && { b: values("b") }) };
  const fixed = fixedLayers(structures, a, bias);
  const run = await openLayers(fixed.layout, frozen);
  const results = await adapt(run, fixed);
  const yOf = (i: number): Float32Array => results.y.subarray(i * ROWS * OUT, (i + 1) * ROWS * OUT);
  const reference = (i: number): Float32Array => values(`${a}.${rows}`).subarray(9 * i, 9 * i + 9);

  test("there are 432, or 216 with a product A", () => {
    expect(structures.length).toBe(a === "product" ? 216 : 432);
    expect(values(`${a}.${rows}`).length).toBe(9 * structures.length);
  });

  test("output and gradients of all supports are PyTorch's", () => {
    structures.forEach((structure, i) => {
      const found = projections(yOf(i), results.gradient, fixed.table, `${i}`);
      const worst = Math.max(...found.map((value, k) => Math.abs(value - reference(i)[k]!)));
      // Inner products of up to 55 numbers near 1, each a float32 sum of as many: 55 · 6e-8 and more; measured 7e-7.
      expect(worst, `${nameOf(structure)}: ${found}, PyTorch has ${reference(i)}`).toBeLessThan(5e-6);
    });
  });

  test("adapted is merged, and is not the base", () => {
    structures.forEach((structure, i) => {
      const layer = fixed.layers[i]!;
      const { W, b = new Float32Array(OUT) } = mergeLinear(layer, frozen, structure, fixed.params, fixed.table);
      const merged = linear(reshape(values("x"), ROWS, IN), reshape(W, OUT, IN), [...b]);
      expect(distance(yOf(i), Float32Array.from(merged.flat())), nameOf(structure)).toBeLessThan(1e-5);
      const changes = SUPPORTS.some((support) => acts(structure[support], support, layer));
      // The smallest change is that of a bias scaled by one number.
      if (changes) expect(distance(yOf(i), results.base), nameOf(structure)).toBeGreaterThan(1e-3);
      else expect(yOf(i)).toEqual(results.base);
    });
  });

  test("the supernet with a structure drawn is the fixed graph", async () => {
    const net = supernetLayer(a, bias);
    const one = await openLayers(net.layout, frozen);
    const offered = formsOf(net.space, "layer");
    for (const [i, structure] of structures.entries()) {
      // D does nothing where there is no bias: a supernet does not offer it.
      if (!SUPPORTS.every((support) => offered[support].includes(structure[support]))) continue;
      const genome: Genome = new Map([["layer", structure]]);
      const { y, gradient } = await adapt(one, { ...net, genome });
      expect(distance(y, yOf(i)), nameOf(structure)).toBeLessThan(1e-6);
      const own = fixedTable(genome, [net.layer], a);
      const first = fixed.table.tensors.find(({ layer }) => layer === `${i}`)?.offset ?? 0;
      const expected = new Float32Array(net.table.size); // zero for what the structure does not use
      embed(results.gradient.slice(first, first + own.size), own, expected, net.table);
      if (own.size > 0) expect(distance(gradient, expected), nameOf(structure)).toBeLessThan(1e-6);
      else expect(gradient).toEqual(expected);
    }
  });

  test("start values change nothing, to the bit", async () => {
    const rng = rngStream(1, "start");
    const { y, base } = await adapt(run, { ...fixed, params: initialise(fixed.table, rng) });
    for (const [i, structure] of structures.entries())
      expect(y.subarray(i * base.length, (i + 1) * base.length), nameOf(structure)).toEqual(base);

    const net = supernetLayer(a, bias);
    const one = await openLayers(net.layout, frozen);
    const params = initialise(net.table, rng);
    for (let i = 0; i < 50; i++) {
      const genome = drawGenome(net.space, rng);
      const found = await adapt(one, { ...net, params, genome });
      expect(found.y, nameOf(genome.get("layer")!)).toEqual(found.base);
    }
  });
});

test("start values of a wide layer: to the bit where the product takes the bias along, else one rounding", async () => {
  const [out, inputs, rows] = [64, 768, 197];
  const rng = rngStream(2, "wide");
  const normal = (length: number): Float32Array => Float32Array.from({ length }, () => rng.normal());
  const structures = allStructures("elementwise", 2).filter(({ D, E }) => D === "vector" && E === "vector");
  const layers = structures.map((_, i) => layerShape(`${i}`, out, inputs));
  const genome: Genome = new Map(structures.map((structure, i) => [`${i}`, structure]));
  const table = fixedTable(genome, layers, "elementwise");
  const plans = planOf(genome, layers, "elementwise");
  const arranged = { params: initialise(table, rng), table, genome, plans, layout: effectiveLayout(plans, layers) };
  const run = await openLayers(arranged.layout, { W: normal(out * inputs), b: normal(out) }, rows);
  const { y, base } = await adapt(run, arranged, normal(rows * inputs), normal(rows * out));
  for (const [i, structure] of structures.entries()) {
    const own = y.subarray(i * base.length, (i + 1) * base.length);
    // ONNX Runtime adds the bias after the first 128 terms of a sum, a scaled product gets it after all of them.
    if (plans.get(`${i}`)!.scale) expect(distance(own, base), nameOf(structure)).toBeLessThan(3e-7);
    else expect(own, nameOf(structure)).toEqual(base);
  }
});
