/** What the tests of this folder compare with: the authors' formula, written out naively in float64. */
import type { Rng } from "../base/rng.js";
import type { EffectiveLayout, SegmentName } from "./effective.js";
import type { ParameterTable } from "./parameters.js";
import { type AForm, type Form, kindsOf, type LayerShape, type Structure, type Support } from "./structure.js";

export type Matrix = number[][];

export const layerShape = (
  name: string,
  out: number,
  inputs: number,
  bias = true,
  addableBias = false,
): LayerShape => ({
  name,
  out,
  in: inputs,
  bias,
  addableBias,
});

/** Every structure at one rank: 432, or 216 for a product A. */
export function allStructures(a: AForm, rank: number): Structure[] {
  const forms = (support: Support): Form[] =>
    kindsOf(support, a).map((kind): Form => (kind === "lora" ? `lora_${rank}` : kind));
  return forms("A").flatMap((A) =>
    forms("B").flatMap((B) =>
      forms("C").flatMap((C) => forms("D").flatMap((D) => forms("E").map((E) => ({ A, B, C, D, E })))),
    ),
  );
}

export const nameOf = ({ A, B, C, D, E }: Structure): string => [A, B, C, D, E].join(" ");

export const randomMatrix = (rows: number, columns: number, rng: Rng): Matrix =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => Math.fround(rng.normal())));

export const reshape = (flat: ArrayLike<number>, rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => flat[i * columns + j]!));

export const product = (x: Matrix, y: Matrix): Matrix =>
  x.map((row) => (y[0] ?? []).map((_, j) => row.reduce((sum, value, k) => sum + value * y[k]![j]!, 0)));

const transpose = (x: Matrix): Matrix => (x[0] ?? []).map((_, j) => x.map((row) => row[j]!));

const zip = (x: Matrix, y: Matrix, f: (x: number, y: number) => number): Matrix =>
  x.map((row, i) => row.map((value, j) => f(value, y[i]![j]!)));

/** A stored tensor of the adapted layer, found by its name. */
export function storedTensor(params: Float32Array, table: ParameterTable, name: string): Matrix | undefined {
  const tensor = table.tensors.find((t) => t.name === name);
  if (!tensor) return undefined;
  return reshape(params.subarray(tensor.offset), tensor.shape[0]!, tensor.shape[1] ?? 1);
}

/** W' and b' of the authors' formula, whether the stored supports are entangled or a genome's own. */
export function naiveMerge(
  layer: LayerShape,
  W: Matrix,
  b: number[] | undefined,
  structure: Structure,
  params: Float32Array,
  table: ParameterTable,
): { W: Matrix; b: number[] } {
  const wide = (support: Support, rows: number, columns: number): Matrix => {
    const form = structure[support];
    const down =
      storedTensor(params, table, `${layer.name}.${support}.Xd`) ??
      storedTensor(params, table, `${layer.name}.${support}.X`);
    const up = storedTensor(params, table, `${layer.name}.${support}.Xu`);
    const rank = form.startsWith("lora_") ? Number(form.slice(5)) : 0;
    if (rank > 0) {
      const used = down!.map((row) => row.slice(0, rank));
      return product(used, up!.slice(0, rank));
    }
    const value = (i: number) => (form === "none" ? 0 : form === "scalar" ? down![0]![0]! : down![i]![0]!);
    return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, () => value(i)));
  };
  const A = table.a === "product" ? wide("A", layer.in, layer.in) : wide("A", layer.out, layer.in);
  const B = wide("B", layer.out, layer.in);
  const C = wide("C", layer.in, 1);
  const D = wide("D", layer.out, 1);
  const E = wide("E", layer.out, 1);
  const change = table.a === "product" ? product(W, A) : zip(W, A, (w, a) => w * a);
  const shift = product(W, C);
  const bias = Array.from({ length: layer.out }, (_, i) => b?.[i] ?? 0);
  return {
    W: zip(
      zip(W, change, (x, y) => x + y),
      B,
      (x, y) => x + y,
    ),
    b: bias.map((value, i) => value + value * D[i]![0]! + E[i]![0]! + shift[i]![0]!),
  };
}

/** y = x·W'ᵀ + b' */
export const linear = (x: Matrix, W: Matrix, b: number[]): Matrix =>
  product(x, transpose(W)).map((row) => row.map((value, i) => value + b[i]!));

/** The effective tensors of one layer as matrices; vectors have one column, what the plan leaves out does nothing. */
export function effectiveMatrices(layout: EffectiveLayout, name: string, effective: Float32Array) {
  const { segments, plan, layer } = layout.layers.get(name)!;
  const get = (segment: SegmentName, rows: number, columns: number, otherwise: number): Matrix => {
    const found = segments[segment];
    if (!found) return Array.from({ length: rows }, () => Array.from({ length: columns }, () => otherwise));
    return reshape(effective.subarray(found.offset), rows, columns);
  };
  return {
    scale: get("scale", layer.out, 1, 1),
    Ad: get("Ad", layer.out, plan.lowA + 1, 1),
    Au: get("Au", plan.lowA + 1, layer.in, 1),
    Pd: get("Pd", layer.in, plan.productA, 0),
    Pu: get("Pu", plan.productA, layer.in, 0),
    Bd: get("Bd", layer.out, plan.lowB, 0),
    Bu: get("Bu", plan.lowB, layer.in, 0),
    c: get("c", layer.in, 1, 0),
    d: get("d", layer.out, 1, 1),
    e: get("e", layer.out, 1, 0),
  };
}

/**
 * What the emitted graph computes, and the gradients of Σ y ⊙ dy with respect to the effective tensors, in float64:
 * y = x'·(W ⊙ Ad·Au)ᵀ ⊙ scale + (x·Buᵀ)·Bdᵀ + b ⊙ d + e + W·c with x' = x + (x·Puᵀ)·Pdᵀ.
 */
export function emitted(
  layout: EffectiveLayout,
  name: string,
  effective: Float32Array,
  W: Matrix,
  b: number[] | undefined,
  x: Matrix,
  dy: Matrix,
): { y: Matrix; gradient: Float32Array } {
  const { layer, plan, segments } = layout.layers.get(name)!;
  const t = effectiveMatrices(layout, name, effective);
  const none = (m: Matrix): boolean => m.length === 0 || m[0]!.length === 0;
  const add = (m: Matrix, n: Matrix): Matrix => (none(n) ? m : zip(m, n, (p, q) => p + q));
  const mul = (m: Matrix, n: Matrix): Matrix => zip(m, n, (p, q) => p * q);
  const rows = (v: Matrix): Matrix => x.map(() => v.map((value) => value[0]!));
  const low = (m: Matrix, up: Matrix, down: Matrix): Matrix =>
    none(down) ? m.map((row) => row.map(() => 0)) : product(product(m, transpose(up)), transpose(down));
  const column = (v: number[]): Matrix => v.map((value) => [value]);
  const bias = column(Array.from({ length: layer.out }, (_, i) => b?.[i] ?? 0));

  const input = plan.productA > 0 ? add(x, low(x, t.Pu, t.Pd)) : x;
  const weight = mul(W, product(t.Ad, t.Au));
  const z = product(input, transpose(weight));
  const shift = add(add(mul(bias, t.d), t.e), product(W, t.c));
  const wide = plan.lowB > 0 ? low(x, t.Bu, t.Bd) : z.map((row) => row.map(() => 0));
  const y = add(add(mul(z, rows(t.scale)), wide), rows(shift));

  const sumRows = (m: Matrix): Matrix => transpose(m).map((row) => [row.reduce((p, q) => p + q, 0)]);
  const dz = mul(dy, rows(t.scale));
  const dMask = mul(W, product(transpose(dz), input));
  const dInput = product(dz, weight);
  const db = sumRows(dy);
  const gradients: Record<SegmentName, () => Matrix> = {
    scale: () => sumRows(mul(dy, z)),
    Ad: () => product(dMask, transpose(t.Au)),
    Au: () => product(transpose(t.Ad), dMask),
    Pd: () => product(transpose(dInput), product(x, transpose(t.Pu))),
    Pu: () => product(transpose(product(dInput, t.Pd)), x),
    Bd: () => product(transpose(dy), product(x, transpose(t.Bu))),
    Bu: () => product(transpose(product(dy, t.Bd)), x),
    c: () => product(transpose(W), db),
    d: () => mul(bias, db),
    e: () => db,
  };
  const gradient = new Float32Array(layout.size);
  for (const [segment, { offset }] of Object.entries(segments)) {
    gradient.set(gradients[segment as SegmentName]().flat(), offset);
  }
  return { y, gradient };
}

/** max|x − y| / max|y| */
export function difference(x: Matrix, y: Matrix): number {
  const largest = Math.max(...y.flat().map(Math.abs));
  return Math.max(...zip(x, y, (p, q) => Math.abs(p - q)).flat()) / largest;
}
