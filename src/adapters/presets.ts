import { GloraError } from "../base/errors.js";
import { createSpace, fullRank, type Space, type SpaceOptions, selectLayers } from "./space.js";
import type { FormKind, LayerShape, Support } from "./structure.js";

/** `forms` are for `glora` alone: one kind for each support leaves one structure. */
export interface PresetOptions extends Omit<SpaceOptions, "ranks"> {
  /** Rank of the low-rank supports; `glora` offers the powers of two up to it. Default: 8, or what the layers can have. */
  rank?: number;
  /** The ranks that `glora` offers, where they are to be others. */
  ranks?: readonly number[];
}

type Forms = Partial<Record<Support, FormKind>>;

/** Known methods as GLoRA structures: the one form of each support that is not absent. */
const METHODS = {
  /** LoRA (Hu et al., 2021): W + B. */
  lora: { B: "lora" },
  /** BitFit (Ben Zaken et al., 2022): b + E. */
  bitfit: { E: "vector" },
  /** SSF (Lian et al., 2022), scale and shift of the output: (W·x + b) ⊙ (1 + a) + e, with A and D trained apart. */
  ssf: { A: "vector", D: "vector", E: "vector" },
  /** Prompts as VPT's (Jia et al., 2022): b + W·C. A vector, because low rank stores the same vector in more numbers. */
  vpt: { C: "vector" },
  /** HiRA (Huang et al., 2025): W + W ⊙ A. */
  hira: { A: "lora" },
} satisfies Record<string, Forms>;

export type PresetName = keyof typeof METHODS | "glora" | "linear";

export const PRESETS: readonly PresetName[] = [
  ...(Object.keys(METHODS) as (keyof typeof METHODS)[]),
  "glora",
  "linear",
];

/**
 * A method as a space: `glora` is the whole space, `linear` adapts no layer (the head alone trains), the others leave
 * one form to each support (none where a layer has no bias and cannot get one).
 */
export function presetSpace(name: PresetName, layers: readonly LayerShape[], options: PresetOptions = {}): Space {
  if (options.forms && name !== "glora")
    throw new GloraError("USAGE", `forms: the preset ${name} sets them itself; take glora to choose others.`, { name });
  if (name === "linear") return createSpace([], {});
  const { ranks, ...rest } = options;
  const rank = options.rank ?? Math.min(8, fullRank(selectLayers(layers, options.layers)));
  if (name === "glora") return createSpace(layers, { ...rest, ranks: ranks ?? powersOfTwo(rank) });
  const method: Forms = METHODS[name];
  const kind = (support: Support): readonly FormKind[] => [method[support] ?? "none"];
  return createSpace(layers, {
    ...rest,
    ranks: [rank],
    forms: { A: kind("A"), B: kind("B"), C: kind("C"), D: kind("D"), E: kind("E") },
  });
}

/** 1, 2, 4 … and the rank itself. */
export function powersOfTwo(rank: number): number[] {
  const ranks = [rank];
  for (let power = 1; power < rank; power *= 2) ranks.push(power);
  return ranks;
}
