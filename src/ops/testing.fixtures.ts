/** What the tests of operators share: running graphs by ONNX Runtime, central differences, PyTorch's values. */
import { readFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { differentiate } from "../autodiff/backward.js";
import { rngStream } from "../base/rng.js";
import type { Builder } from "../ir/builder.js";
import { encodeModel } from "../ir/codec.js";
import { evaluateDim, type Shape } from "../ir/dim.js";
import type { ElementType, Graph, TensorType, Value } from "../ir/graph.js";
import { lowerFor } from "../passes/lower.js";
import { createBuilder } from "./index.js";

/** A dense array of any element type, its values as plain numbers. */
export interface Sample {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

const arrays = {
  float32: (v: readonly number[]) => Float32Array.from(v),
  float64: (v: readonly number[]) => Float64Array.from(v),
  int32: (v: readonly number[]) => Int32Array.from(v),
  int64: (v: readonly number[]) => BigInt64Array.from(v, BigInt),
  bool: (v: readonly number[]) => Uint8Array.from(v),
};

function toOrt({ dtype, shape, values }: Sample): Tensor {
  if (!Object.hasOwn(arrays, dtype)) throw new Error(`No test feeds ${dtype}.`);
  return new Tensor(dtype as "float32", arrays[dtype as keyof typeof arrays](values) as Float32Array, [...shape]);
}

const fromOrt = (t: Tensor): Sample => ({
  dtype: t.type as ElementType,
  shape: t.dims,
  values: Array.from(t.data as ArrayLike<number | bigint>, Number),
});

type Run = (feeds: Readonly<Record<string, Sample>>) => Promise<Record<string, Sample>>;

/** Lowers and encodes a graph, and opens it in ONNX Runtime as it is written: no optimizer may hide a mistake. */
async function open(graph: Graph): Promise<Run> {
  const session = await InferenceSession.create(encodeModel(lowerFor("cpu", graph)), {
    graphOptimizationLevel: "disabled",
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  return async (feeds) => {
    const given = Object.fromEntries(Object.entries(feeds).map(([name, sample]) => [name, toOrt(sample)]));
    const found = await session.run(given);
    return Object.fromEntries(Object.entries(found).map(([name, t]) => [name, fromOrt(t)]));
  };
}

export const evaluate = async (
  graph: Graph,
  feeds: Readonly<Record<string, Sample>>,
): Promise<Record<string, Sample>> => (await open(graph))(feeds);

/** The call under test: from its operands the values that it returns. */
export type Call = (g: Builder, operands: readonly Value[]) => readonly Value[];

export interface Operand {
  readonly shape: Shape;
  /** The float type of the test unless said otherwise. */
  readonly dtype?: ElementType;
  /** Standard normal unless given; repeated as often as the shape needs. */
  readonly values?: readonly number[];
}

export interface GradientOptions {
  /** float64 unless the kernels of ONNX Runtime lack it. */
  readonly dtype?: "float32" | "float64";
  /** Step of the central differences. */
  readonly h?: number;
  /** Largest difference between the two gradients. */
  readonly atol?: number;
  /** False for an operator without derivative: only the types are checked. */
  readonly gradient?: boolean;
  /** Values of the symbols in the operands' shapes. */
  readonly symbols?: Readonly<Record<string, number>>;
}

/** float64: truncation of order h²/6 and rounding of order 1e-16/h, a few hundred of each, stay below 1e-7 together. */
const float64Defaults = { h: 1e-5, atol: 1e-7 };
/** float32: truncation of order h²/6 and rounding of order 6e-8/h, a few of each, stay below 3e-4 together. */
const float32Defaults = { h: 1e-2, atol: 3e-4 };

const isFloat = (type: TensorType): boolean => type.dtype.includes("float");

/** A graph of a call and its derivative: y0, y1 … and the gradients dx0, dx1 … of Σ w ⊙ y for random w, with its feeds. */
export interface GradientCase {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Sample>>;
  /** Type of each output by the shape rules. */
  readonly expected: ReadonlyMap<string, TensorType>;
  /** Names of the operands that have a gradient. */
  readonly trainable: readonly string[];
}

export async function gradientCase(
  call: Call,
  operands: readonly Operand[],
  { dtype = "float64", symbols = {}, gradient = true }: GradientOptions,
): Promise<GradientCase> {
  const rng = rngStream(7, "operands");
  const sample = (type: TensorType, values?: readonly number[]): Sample => {
    const shape = type.shape.map((d) => evaluateDim(d, symbols));
    const count = shape.reduce((n, d) => n * d, 1);
    const next = (_: unknown, i: number): number => (values ? values[i % values.length]! : rng.normal());
    return { dtype: type.dtype, shape, values: Array.from({ length: count }, next) };
  };

  const g = createBuilder();
  const inputs = operands.map((x, i) => g.input(`x${i}`, x.dtype ?? dtype, x.shape));
  const outputs = call(g, inputs);
  const feeds: Record<string, Sample> = Object.fromEntries(
    inputs.map((v, i) => [v.name, sample(v.type, operands[i]!.values)]),
  );
  const expected = new Map<string, TensorType>();
  outputs.forEach((y, i) => {
    g.output(`y${i}`, y);
    expected.set(`y${i}`, y.type);
  });
  const trainable = inputs.filter((v) => isFloat(v.type));
  const plain = await evaluate(g.graph, feeds); // the outputs' shapes are needed for the weights below
  const weights = new Map<Value, Value>();
  outputs.forEach((y, i) => {
    if (!isFloat(y.type) || weights.has(y)) return;
    const w = g.input(`w${i}`, y.type.dtype, y.type.shape);
    weights.set(y, w);
    feeds[w.name] = { ...plain[`y${i}`]!, values: plain[`y${i}`]!.values.map(() => rng.normal()) };
  });
  const gradients = gradient ? differentiate(g, weights, trainable) : [];
  gradients.forEach((d, i) => {
    if (!d) return;
    g.output(`d${trainable[i]!.name}`, d);
    expected.set(`d${trainable[i]!.name}`, trainable[i]!.type);
    expect(d.type, "type of a gradient by the shape rules").toEqual(
      expect.objectContaining({ dtype: trainable[i]!.type.dtype, shape: trainable[i]!.type.shape }),
    );
  });
  return { graph: g.graph, feeds, expected, trainable: trainable.map(({ name }) => name) };
}

/**
 * Checks a call by running it: every output and every gradient has the type that the shape rules say, and the gradients
 * of Σ w ⊙ y for random w agree with central differences of the outputs (summed here in float64).
 */
export async function expectGradient(call: Call, operands: readonly Operand[], o: GradientOptions = {}): Promise<void> {
  const { dtype = "float64", symbols = {} } = o;
  const { h, atol } = { ...(dtype === "float64" ? float64Defaults : float32Defaults), ...o };
  const { graph, feeds, expected, trainable } = await gradientCase(call, operands, o);
  const run = await open(graph);
  const found = await run(feeds);
  for (const [name, type] of expected) {
    const shape = type.shape.map((d, i) => (String(d).includes("?") ? found[name]!.shape[i] : evaluateDim(d, symbols)));
    expect({ name, dtype: found[name]!.dtype, shape: found[name]!.shape }).toEqual({ name, dtype: type.dtype, shape });
  }
  if (o.gradient === false) return;

  /** Σ w ⊙ (y₁ − y₂) over every output that has weights. */
  const weighted = (one: Record<string, Sample>, other: Record<string, Sample>): number => {
    let sum = 0;
    for (const [name, { values }] of Object.entries(feeds)) {
      if (!name.startsWith("w")) continue;
      const y = name.replace("w", "y");
      values.forEach((weight, i) => {
        sum += weight * (one[y]!.values[i]! - other[y]!.values[i]!);
      });
    }
    return sum;
  };
  for (const name of trainable) {
    const x = feeds[name]!;
    const moved = (k: number, step: number): Promise<Record<string, Sample>> =>
      run({ ...feeds, [name]: { ...x, values: x.values.with(k, x.values[k]! + step) } });
    const numeric: number[] = [];
    for (const k of x.values.keys()) numeric.push(weighted(await moved(k, h), await moved(k, -h)) / (2 * h));
    const analytic = found[`d${name}`]?.values ?? numeric.map(() => 0);
    const worst = Math.max(0, ...numeric.map((n, i) => Math.abs(n - analytic[i]!)));
    const both = `gradient of ${name}: [${analytic}], by central differences [${numeric}]`;
    expect(worst, both).toBeLessThanOrEqual(atol);
  }
}

interface TorchCase {
  readonly operands: readonly Sample[];
  readonly outputs: readonly Sample[];
  readonly dys: readonly Sample[];
  readonly gradients: readonly (Sample | null)[];
}

/** By operator and variant; written by scripts/fixtures/ops.py. */
export const torchCases: Readonly<Record<string, Readonly<Record<string, TorchCase>>>> = JSON.parse(
  readFileSync(new URL("../../test/fixtures/ops/ops.fixtures.json", import.meta.url), "utf8"),
);

/** Registers a test for every variant of an operator that PyTorch's values exist for: outputs and all gradients. */
export function testAgainstTorch(op: string, calls: Readonly<Record<string, Call>>): void {
  test(`${op}: every variant of the fixture has its call`, () => {
    expect(Object.keys(calls).sort()).toEqual(Object.keys(torchCases[op]!).sort());
  });
  for (const [variant, call] of Object.entries(calls))
    test(`${op}${variant && ", "}${variant}: outputs and gradients are PyTorch's`, async () => {
      const { operands, outputs, dys, gradients } = torchCases[op]![variant]!;
      const g = createBuilder();
      const inputs = operands.map((x, i) => g.input(`x${i}`, x.dtype, x.shape));
      const seeds = new Map(call(g, inputs).map((y, i) => [y, g.input(`dy${i}`, "float32", dys[i]!.shape)]));
      [...seeds.keys()].forEach((y, i) => {
        g.output(`y${i}`, y);
      });
      const trainable = inputs.filter((v) => isFloat(v.type));
      differentiate(g, seeds, trainable).forEach((d, i) => {
        g.output(`d${trainable[i]!.name}`, d!);
      });
      const named = (prefix: string, samples: readonly Sample[]) =>
        samples.map((s, i) => [`${prefix}${i}`, s] as const);
      const found = await evaluate(g.graph, Object.fromEntries([...named("x", operands), ...named("dy", dys)]));
      outputs.forEach((y, i) => {
        expectClose(found[`y${i}`]!, y, `output ${i}`);
      });
      gradients.forEach((d, i) => {
        if (d) expectClose(found[`dx${i}`]!, d, `gradient of operand ${i}`);
      });
    });
}

/** Float32 sums of a few terms of size 1: 1e-5 of the largest value is some hundred roundings. */
export function expectClose(actual: Sample, expected: Sample, what: string, rtol = 1e-5): void {
  expect(actual.shape, what).toEqual(expected.shape);
  const scale = Math.max(...expected.values.map(Math.abs));
  const worst = Math.max(0, ...actual.values.map((v, i) => Math.abs(v - expected.values[i]!)));
  expect(worst, `${what}: [${actual.values}], expected [${expected.values}]`).toBeLessThanOrEqual(rtol * scale);
}
