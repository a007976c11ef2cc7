/** The tensors of a PEFT adapter, from the stored supports of ours. */
import { readWeight } from "../../models/weights.js";
import type { AdaptedModel } from "../adapted-model.js";
import type { NamedTensor } from "../adapter-file.js";
import { ruleOf } from "../forms/index.js";
import {
  acts,
  type Form,
  type FormKind,
  kindOf,
  type LayerShape,
  NO_CHANGE,
  rankOf,
  type Support,
} from "../structure.js";

export interface PeftTensors {
  /** Named as PEFT does within the module of `layer`. */
  readonly tensors: readonly (NamedTensor & { readonly layer: string })[];
  /** The fields of adapter_config.json that belong to them; `spell` gives PEFT's name of a layer. */
  readonly config: (spell: (layer: string) => string) => Readonly<Record<string, unknown>>;
}

/** One low-rank product a layer, and where anything is added to a bias, a bias of lora_B for all. */
export async function loraTensors(adapted: AdaptedModel, layers: readonly LayerShape[]): Promise<PeftTensors> {
  const biased = layers.some((layer) =>
    ["C", "D", "E"].some((support) => formOf(adapted, layer, support as Support) !== "none"),
  );
  const ranks = new Map<string, number>();
  const tensors: PeftTensors["tensors"][number][] = [];
  for (const layer of layers) {
    const { name } = layer;
    const needsWeight = formOf(adapted, layer, "A") !== "none" || formOf(adapted, layer, "C") !== "none";
    const W = needsWeight ? await readWeight(adapted.model.weights.get(`${name}.weight`)!) : undefined;
    const parts = [lowRank(adapted, layer, "B"), ...(W ? [productRank(adapted, layer, W)] : [])];
    const { down, up, rank } = sideBySide(layer, parts);
    ranks.set(name, rank);
    tensors.push({ layer: name, name: "lora_A.weight", shape: [rank, layer.in], values: up });
    tensors.push({ layer: name, name: "lora_B.weight", shape: [layer.out, rank], values: down });
    if (biased)
      tensors.push({
        layer: name,
        name: "lora_B.bias",
        shape: [layer.out],
        values: await addedBias(adapted, layer, W),
      });
  }
  const usual = mostCommon([...ranks.values()]) ?? 1;
  return {
    tensors,
    config: (spell) => {
      // Keys are regular expressions.
      const others = Object.fromEntries(
        [...ranks].flatMap(([layer, rank]) => (rank === usual ? [] : [[spell(layer).replaceAll(".", "\\."), rank]])),
      );
      return {
        r: usual,
        lora_alpha: usual, // equal to the rank everywhere, so that nothing is scaled
        rank_pattern: others,
        alpha_pattern: others,
        use_rslora: false,
        lora_dropout: 0,
        lora_bias: biased,
        fan_in_fan_out: false,
        init_lora_weights: true,
      };
    },
  };
}

const formOf = ({ genome }: AdaptedModel, layer: LayerShape, support: Support): Form => {
  const form = genome?.get(layer.name)?.[support] ?? NO_CHANGE[support];
  return acts(form, support, layer) ? form : "none";
};

interface LowRank {
  /** [rows, rank] and [rank, columns]. */
  readonly down: Float32Array;
  readonly up: Float32Array;
  readonly rank: number;
}

/** A support as a product of two factors; a vector v is v · 1ᵀ. */
function lowRank(adapted: AdaptedModel, layer: LayerShape, support: "A" | "B"): LowRank {
  const form = formOf(adapted, layer, support);
  if (form === "none") return { down: new Float32Array(0), up: new Float32Array(0), rank: 0 };
  const [down, up] = widened(adapted, layer, support, [layer.out, layer.in], "lora", Math.max(1, rankOf(form)));
  return { down: down!.values, up: up!.values, rank: down!.shape[1]! };
}

/** W·A = (W·Xd)·Xu for a product A. */
function productRank(adapted: AdaptedModel, layer: LayerShape, W: Float32Array): LowRank {
  const rank = rankOf(formOf(adapted, layer, "A"));
  if (rank === 0) return { down: new Float32Array(0), up: new Float32Array(0), rank };
  const [A, up] = widened(adapted, layer, "A", [layer.in, layer.in], "lora", rank);
  const down = new Float32Array(layer.out * rank);
  for (let i = 0; i < layer.out; i++) {
    for (let k = 0; k < rank; k++) {
      let sum = 0;
      for (let j = 0; j < layer.in; j++) sum += W[i * layer.in + j]! * A!.values[j * rank + k]!;
      down[i * rank + k] = sum;
    }
  }
  return { down, up: up!.values, rank };
}

/** The sum of products as one product; PEFT has none of rank 0. */
function sideBySide({ out, in: width }: LayerShape, parts: readonly LowRank[]): LowRank {
  const rank = Math.max(
    1,
    parts.reduce((sum, part) => sum + part.rank, 0),
  );
  const down = new Float32Array(out * rank);
  const up = new Float32Array(rank * width);
  let from = 0;
  for (const part of parts) {
    for (let i = 0; i < out; i++) down.set(part.down.subarray(i * part.rank, (i + 1) * part.rank), i * rank + from);
    up.set(part.up, from * width);
    from += part.rank;
  }
  return { down, up, rank };
}

/** b ⊙ D + E + W·C. */
async function addedBias(adapted: AdaptedModel, layer: LayerShape, W: Float32Array | undefined): Promise<Float32Array> {
  const weight = adapted.model.weights.get(`${layer.name}.bias`);
  const b = weight && (await readWeight(weight));
  const [D, E] = [column(adapted, layer, "D", layer.out), column(adapted, layer, "E", layer.out)];
  const C = column(adapted, layer, "C", layer.in);
  return Float32Array.from({ length: layer.out }, (_, i) => {
    let value = (b?.[i] ?? 0) * D[i]! + E[i]!;
    if (W) for (let j = 0; j < layer.in; j++) value += W[i * layer.in + j]! * C[j]!;
    return value;
  });
}

/** A support of one column, number by number. */
function column(adapted: AdaptedModel, layer: LayerShape, support: "C" | "D" | "E", length: number): Float64Array {
  const view = adapted.table.views.get(layer.name)?.[support];
  const rule = ruleOf(formOf(adapted, layer, support));
  const row = new Float64Array(1);
  return Float64Array.from({ length }, (_, i) => {
    row[0] = 0;
    if (view) rule.addRow(adapted.parameters, view, i, row);
    return row[0]!;
  });
}

/** How wide a form is: a wider one says whatever a narrower one does. */
const WIDTH: readonly FormKind[] = ["none", "scalar", "vector", "lora"];
const PEFT_WORD: Readonly<Record<FormKind, string>> = {
  none: "none",
  scalar: "constant",
  vector: "vector",
  lora: "lora",
};

/**
 * Each support in the widest form that any layer needs: PEFT has one for A and B, one for C, one for D and E, one rank. A
 * constant zero takes the place of an A or B that no layer has: `none` would store two matrices of zeros a layer.
 */
export function gloraTensors(adapted: AdaptedModel, layers: readonly LayerShape[]): PeftTensors {
  const widest = (supports: readonly Support[], least: FormKind): FormKind => {
    const kinds = layers.flatMap((layer) => supports.map((support) => kindOf(formOf(adapted, layer, support))));
    return WIDTH[Math.max(WIDTH.indexOf(least), ...kinds.map((kind) => WIDTH.indexOf(kind)))]!;
  };
  const kinds = { AB: widest(["A", "B"], "scalar"), C: widest(["C"], "none"), DE: widest(["D", "E"], "scalar") };
  const supports = ["A", "B", "C", "D", "E"] as const;
  const rank = Math.max(1, ...layers.flatMap((layer) => supports.map((s) => rankOf(formOf(adapted, layer, s)))));
  const tensors = layers.flatMap((layer) => {
    const { name, out, in: width, bias } = layer;
    const parts: NamedTensor[] = [
      ...widened(adapted, layer, "A", [out, width], kinds.AB, rank),
      ...widened(adapted, layer, "B", [out, width], kinds.AB, rank),
    ];
    if (bias && kinds.C !== "none") parts.push(...widened(adapted, layer, "C", [width, 1], kinds.C, rank));
    else parts.push({ name: "C.zeros", shape: [width, 1], values: new Float32Array(width) });
    for (const support of ["D", "E"] as const) {
      if (bias) parts.push(...widened(adapted, layer, support, [out], kinds.DE, rank));
      else parts.push({ name: `${support}.zeros`, shape: [out], values: new Float32Array(out) });
    }
    return parts.map((part) => ({ ...part, layer: name, name: `glora_${part.name}` }));
  });
  return {
    tensors,
    config: () => ({
      r: rank,
      config_A_B: PEFT_WORD[kinds.AB],
      config_C: PEFT_WORD[kinds.C],
      config_D_E: PEFT_WORD[kinds.DE],
      init_weights: true,
    }),
  };
}

/**
 * A support in a form at least as wide as its own. To low rank: spare columns and rows are zeros, a vector v is v · 1ᵀ.
 *
 * @param shape  what the support is broadcast to: [rows, columns], or [rows] of D and E
 */
function widened(
  adapted: AdaptedModel,
  layer: LayerShape,
  support: Support,
  [rows, columns]: readonly [number, number?],
  kind: FormKind,
  rank: number,
): NamedTensor[] {
  const form = formOf(adapted, layer, support);
  const view = adapted.table.views.get(layer.name)?.[support];
  const { parameters } = adapted;
  const number = (i: number): number => {
    if (form === "none" || !view) return 0;
    return parameters[view.down + (form === "scalar" ? 0 : i * view.stride)]!;
  };
  if (kind === "scalar") return [{ name: `${support}.X`, shape: [1], values: Float32Array.of(number(0)) }];
  if (kind === "vector") {
    const shape = columns === undefined ? [rows] : [rows, 1];
    return [{ name: `${support}.X`, shape, values: Float32Array.from({ length: rows }, (_, i) => number(i)) }];
  }
  const own = rankOf(form);
  const width = columns ?? 1;
  const down = new Float32Array(rows * rank);
  const up = new Float32Array(rank * width);
  if (own === 0) {
    for (let i = 0; i < rows; i++) down[i * rank] = number(i);
    up.fill(1, 0, width);
  } else {
    for (let i = 0; i < rows; i++) {
      const from = view!.down + i * view!.stride;
      down.set(parameters.subarray(from, from + own), i * rank);
    }
    up.set(parameters.subarray(view!.up, view!.up + own * width));
  }
  return [
    { name: `${support}.Xd`, shape: [rows, rank], values: down },
    { name: `${support}.Xu`, shape: [rank, width], values: up },
  ];
}

function mostCommon(numbers: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const value of numbers) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce<[number, number] | undefined>(
    (best, next) => (best && best[1] >= next[1] ? best : next),
    undefined,
  )?.[0];
}
