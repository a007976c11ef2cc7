/**
 * The numbers that travel into the graph. Whatever the structure, an adapted layer is
 *
 *     y = (x + (x·Puᵀ)·Pdᵀ)·(W ⊙ (Ad·Au))ᵀ ⊙ scale + (x·Buᵀ)·Bdᵀ + b ⊙ d + e + W·c
 *
 * with the parts that an {@link EmissionPlan} leaves out taken as doing nothing. These *effective* tensors of all layers
 * lie in one flat buffer, as their gradients do: `buildEffective` fills it from the stored supports, `pullBackAll` is the
 * adjoint. Both run at every step over about a million numbers.
 */
import { GloraError } from "../base/errors.js";
import { ruleOf, sizeOf } from "./forms/index.js";
import type { FormRule, StoredView, Target } from "./forms/rule.js";
import type { ParameterTable } from "./parameters.js";
import { formsOf, type Space } from "./space.js";
import {
  type AForm,
  acts,
  type Form,
  type Genome,
  kindOf,
  type LayerShape,
  NO_CHANGE,
  rankOf,
  SUPPORTS,
  type Support,
} from "./structure.js";

/** What the graph of one layer holds; 0 and false where it is absent. */
export interface EmissionPlan {
  /** Rows of W are scaled by 1 + s: vector and scalar A. */
  readonly scale: boolean;
  /** Rank of the element-wise A. */
  readonly lowA: number;
  /** Rank of B; vector and scalar B are rank 1, with a row of ones for Bu. */
  readonly lowB: number;
  /** Rank of a product A, which adapts the input. */
  readonly productA: number;
  readonly c: boolean;
  readonly d: boolean;
  readonly e: boolean;
  /** A supernet's layer: two booleans say whether A is low-rank and C is drawn, so that neither costs when it is not. */
  readonly choose: boolean;
}

export type Plans = ReadonlyMap<string, EmissionPlan>;

/** Everything that any form of the space needs: one graph for all its genomes. */
export const supernetPlan = (space: Space): Plans =>
  planEach(space.layers, space.a, true, (layer) => formsOf(space, layer.name));

/** Only what this genome needs: the cheapest graph of the same function. */
export const planOf = (genome: Genome, layers: Iterable<LayerShape>, a: AForm): Plans =>
  planEach(layers, a, false, (layer) => {
    const { A, B, C, D, E } = genome.get(layer.name) ?? NO_CHANGE;
    return { A: [A], B: [B], C: [C], D: [D], E: [E] };
  });

function planEach(
  layers: Iterable<LayerShape>,
  a: AForm,
  choose: boolean,
  formsOfLayer: (layer: LayerShape) => Readonly<Record<Support, readonly Form[]>>,
): Plans {
  const plans = new Map<string, EmissionPlan>();
  for (const layer of layers) {
    const forms = formsOfLayer(layer);
    const rank = (support: Support) => Math.max(...forms[support].map(rankOf));
    const any = (support: Support) => forms[support].some((form) => acts(form, support, layer));
    const broadcast = (support: Support) => forms[support].some((form) => ["vector", "scalar"].includes(kindOf(form)));
    plans.set(layer.name, {
      scale: broadcast("A"),
      lowA: a === "product" ? 0 : rank("A"),
      lowB: Math.max(rank("B"), Number(broadcast("B"))),
      productA: a === "product" ? rank("A") : 0,
      c: any("C"),
      d: any("D"),
      e: any("E"),
      choose,
    });
  }
  return plans;
}

export type SegmentName = "scale" | "Ad" | "Au" | "Pd" | "Pu" | "Bd" | "Bu" | "c" | "d" | "e";

/** One effective tensor in the flat buffer. */
interface Segment {
  readonly offset: number;
  readonly shape: readonly number[];
}

interface LayerLayout {
  readonly layer: LayerShape;
  readonly plan: EmissionPlan;
  /**
   * In this order, as far as the plan holds them: `scale` [out] = 1 + s; `Ad` [out, lowA + 1] and `Au` [lowA + 1, in],
   * whose last column and row are ones, so that Ad·Au = 1 + A at no extra pass over [out, in]; `Pd` [in, productA] and
   * `Pu` [productA, in]; `Bd` [out, lowB] and `Bu` [lowB, in]; `c` [in]; `d` [out] = 1 + D; `e` [out].
   */
  readonly segments: Readonly<Partial<Record<SegmentName, Segment>>>;
  /** Where each support acts. */
  readonly targets: Readonly<Record<Support, Target>>;
}

/** The layout of all effective tensors in one flat Float32Array of `size` elements, layer by layer. */
export interface EffectiveLayout {
  readonly layers: ReadonlyMap<string, LayerLayout>;
  readonly size: number;
}

export function effectiveLayout(plans: Plans, layers: Iterable<LayerShape>): EffectiveLayout {
  const laidOut = new Map<string, LayerLayout>();
  let size = 0;
  for (const layer of layers) {
    const plan = plans.get(layer.name);
    if (!plan) continue;
    const segments: Partial<Record<SegmentName, Segment>> = {};
    for (const [name, present, shape] of shapesOf(plan, layer)) {
      if (!present) continue;
      segments[name] = { offset: size, shape };
      size += sizeOf(shape);
    }
    laidOut.set(layer.name, { layer, plan, segments, targets: targetsOf(segments, plan) });
  }
  return { layers: laidOut, size };
}

type SegmentRow = readonly [SegmentName, present: boolean, shape: readonly number[]];

function shapesOf(plan: EmissionPlan, layer: LayerShape): readonly SegmentRow[] {
  const { lowA, lowB, productA } = plan;
  return [
    ["scale", plan.scale, [layer.out]],
    ["Ad", lowA > 0, [layer.out, lowA + 1]],
    ["Au", lowA > 0, [lowA + 1, layer.in]],
    ["Pd", productA > 0, [layer.in, productA]],
    ["Pu", productA > 0, [productA, layer.in]],
    ["Bd", lowB > 0, [layer.out, lowB]],
    ["Bu", lowB > 0, [lowB, layer.in]],
    ["c", plan.c, [layer.in]],
    ["d", plan.d, [layer.out]],
    ["e", plan.e, [layer.out]],
  ];
}

function targetsOf(segments: LayerLayout["segments"], plan: EmissionPlan): Readonly<Record<Support, Target>> {
  const { scale, Ad, Au, Pd, Pu, Bd, Bu, c, d, e } = segments;
  return {
    A: { vector: column(scale), factors: factors(Ad, Au, plan.lowA) ?? factors(Pd, Pu, plan.productA) },
    B: { vector: column(Bd), factors: factors(Bd, Bu, plan.lowB) },
    C: { vector: column(c), factors: undefined },
    D: { vector: column(d), factors: undefined },
    E: { vector: column(e), factors: undefined },
  };
}

/** A vector, or column 0 of a matrix. */
const column = (segment: Segment | undefined): Target["vector"] =>
  segment && { offset: segment.offset, stride: segment.shape[1] ?? 1, length: segment.shape[0]! };

const factors = (down: Segment | undefined, up: Segment | undefined, rank: number): Target["factors"] =>
  down &&
  up && {
    down: down.offset,
    up: up.offset,
    rank,
    stride: down.shape[1]!,
    rows: down.shape[0]!,
    columns: up.shape[1]!,
  };

/**
 * Fills `out` with the effective tensors of a genome.
 *
 * @param params  stored supports, in the layout of `table`
 * @param out     written whole, in the layout of `layout`
 * @throws {GloraError} GRAPH if the plan has no place for a form that the genome draws
 */
export function buildEffective(
  params: Float32Array,
  table: ParameterTable,
  genome: Genome,
  layout: EffectiveLayout,
  out: Float32Array,
): void {
  out.fill(0);
  for (const [name, { segments, plan }] of layout.layers) fillOnes(out, segments, plan, genome.get(name)?.B ?? "none");
  eachActive(genome, table, layout, (rule, view, target) => rule.effective(params, view, out, target));
}

/** The constants of the effective tensors: 1 + s, 1 + A, 1 + D, and the ones that broadcast a vector B along its rows. */
function fillOnes(out: Float32Array, segments: LayerLayout["segments"], plan: EmissionPlan, formOfB: Form): void {
  const { scale, Ad, Au, Bu, d } = segments;
  if (scale) out.fill(1, scale.offset, scale.offset + sizeOf(scale.shape));
  if (d) out.fill(1, d.offset, d.offset + sizeOf(d.shape));
  if (Ad && Au) {
    const columns = plan.lowA + 1;
    for (let i = 0; i < Ad.shape[0]!; i++) out[Ad.offset + i * columns + plan.lowA] = 1;
    const lastRow = Au.offset + plan.lowA * Au.shape[1]!;
    out.fill(1, lastRow, lastRow + Au.shape[1]!);
  }
  if (Bu && formOfB !== "none" && rankOf(formOfB) === 0) out.fill(1, Bu.offset, Bu.offset + Bu.shape[1]!);
}

/**
 * The gradients of the stored supports from those of the effective tensors: the adjoint of {@link buildEffective}.
 *
 * @param outGrad  written whole, in the layout of `table`; zero for what the genome does not use
 */
export function pullBackAll(
  gradEffective: Float32Array,
  params: Float32Array,
  table: ParameterTable,
  genome: Genome,
  layout: EffectiveLayout,
  outGrad: Float32Array,
): void {
  outGrad.fill(0);
  eachActive(genome, table, layout, (rule, view, target) =>
    rule.pullBack(gradEffective, target, params, view, outGrad),
  );
}

function eachActive(
  genome: Genome,
  table: ParameterTable,
  layout: EffectiveLayout,
  visit: (rule: FormRule, view: StoredView, target: Target) => void,
): void {
  for (const [name, structure] of genome) {
    const placed = layout.layers.get(name);
    for (const support of SUPPORTS) {
      const form = structure[support];
      if (form === "none" || (placed && !acts(form, support, placed.layer))) continue;
      const view = table.views.get(name)?.[support];
      const target = placed?.targets[support];
      if (!view || !target || !hasPlace(form, target)) {
        throw new GloraError(
          "GRAPH",
          `Support ${support} of "${name}" is ${form}, for which there is no place in the ${view ? "graph" : "parameters"}: ` +
            "build them from a space or a genome that holds it.",
          { layer: name, support, form },
        );
      }
      visit(ruleOf(form), view, target);
    }
  }
}

const hasPlace = (form: Form, { factors, vector }: Target): boolean =>
  rankOf(form) > 0 && factors ? rankOf(form) <= factors.rank : vector !== undefined;

/** For every layer that chooses two bytes, 0 or 1, in the layout's order: A is low-rank; C is drawn. */
export function choices(genome: Genome, plans: Plans): Uint8Array {
  const bits: number[] = [];
  for (const [name, { choose }] of plans) {
    const { A, C } = genome.get(name) ?? NO_CHANGE;
    if (choose) bits.push(Number(rankOf(A) > 0), Number(C !== "none"));
  }
  return Uint8Array.from(bits);
}
