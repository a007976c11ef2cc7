import type { Interpolation } from "../../data/resample.js";
import { RENAMED_ARCHITECTURES, TIMM_ARCHITECTURES } from "./architectures-table.js";

/** A row of the table. */
export interface TimmArchitecture {
  /** Of timm's VisionTransformer; norms with their epsilon where it is not 1e-6, and `distilled` for DeiT's second token. */
  readonly args: Readonly<Record<string, unknown>>;
  readonly published?: Partial<Published>;
  readonly tags?: Readonly<Record<string, Partial<Published>>>;
}

/** What timm says of published weights. */
interface Published {
  /** Pixels of each edge. */
  readonly size: number;
  /** 0: no head. */
  readonly classes: number;
  readonly normalization: keyof typeof NORMALIZATIONS;
  /** Share of the resized image that the centre crop keeps, along each edge. */
  readonly crop: number;
  /** Images are stretched to the size; else their shorter edge is brought to it. */
  readonly squash: boolean;
  readonly interpolation: Interpolation;
}

/** Per channel (RGB), of pixels in 0 … 1. */
const NORMALIZATIONS = {
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  inception: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  clip: { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
  none: { mean: [0, 0, 0], std: [1, 1, 1] },
};

/** `_cfg` of timm/models/vision_transformer.py. */
const PUBLISHED: Published = {
  size: 224,
  classes: 1000,
  normalization: "inception",
  crop: 0.9,
  squash: false,
  interpolation: "bicubic",
};

/** What the name of a timm architecture implies: no weight shows heads, eps, pooling or the way of preparing images. */
export interface Architecture {
  readonly args: Readonly<Record<string, unknown>>;
  readonly imageSize: number;
  /** Classes of the published weights; 0: no head. */
  readonly classes: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly cropShare: number;
  readonly cropMode: "center" | "squash";
  readonly interpolation: Interpolation;
}

/**
 * What a name implies, or undefined for a name that is not in the table: it may need what is not built here, so it is never
 * guessed. A tag that is not in it says what the default tag says.
 *
 * @param name "vit_base_patch16_224" or "vit_base_patch16_224.dino"
 * @param tag  of the weights, where the name has none
 * @see timm 1.0.31, models/vision_transformer.py and models/deit.py
 */
export function architectureOf(name: string, tag?: string): Architecture | undefined {
  const current = own(RENAMED_ARCHITECTURES, name) ?? name;
  const [architecture = "", ...rest] = current.split(".");
  const row = own(TIMM_ARCHITECTURES, architecture);
  if (row === undefined || (current.includes(".") && rest.join(".") === "")) return undefined;
  const { args, published, tags = {} } = row;
  const said = { ...PUBLISHED, ...published, ...own(tags, rest.join(".") || tag || "") };
  return {
    args,
    imageSize: said.size,
    classes: said.classes,
    ...NORMALIZATIONS[said.normalization],
    cropShare: said.crop,
    cropMode: said.squash ? "squash" : "center",
    interpolation: said.interpolation,
  };
}

const own = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

/** For messages: every name of the table, a line for each family, as "vit_base_patch16_{224,384,…}". */
export function knownArchitectures(): string {
  const groups = new Map<string, string[]>();
  for (const name of Object.keys(TIMM_ARCHITECTURES)) {
    const [, front = "", rest = ""] = /^(.*_patch\d+_|[^_]+_)(.+)$/.exec(name) ?? [];
    groups.set(front, [...(groups.get(front) ?? []), rest]);
  }
  const families = new Map<string, string[]>();
  for (const [front, rest] of groups) {
    const family = front.slice(0, front.indexOf("_"));
    const names = rest.length === 1 ? front + rest[0] : `${front}{${rest.join(",")}}`;
    families.set(family, [...(families.get(family) ?? []), names]);
  }
  return [...families.values()].map((names) => `\n  ${names.join(", ")}`).join("");
}
