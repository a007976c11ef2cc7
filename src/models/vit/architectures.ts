/** What the name of a timm architecture implies: no weight shows heads, eps, pooling or the way of preparing images. */
export interface Architecture {
  readonly imageSize: number;
  readonly patchSize: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Classes of the published weights; 0: no head. */
  readonly classes: number;
  /** Per channel (RGB), of pixels in 0 … 1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Share of the resized image that the centre crop keeps, along each edge. */
  readonly cropShare: number;
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const INCEPTION = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
const CLIP = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] };

const SIZES: Readonly<Record<string, { width: number; depth: number; heads: number }>> = {
  tiny: { width: 192, depth: 12, heads: 3 },
  small: { width: 384, depth: 12, heads: 6 },
  base: { width: 768, depth: 12, heads: 12 },
  large: { width: 1024, depth: 24, heads: 16 },
};

/** Tags whose weights depart from 1,000 classes or from their family's way of preparing images. None changes the arithmetic. */
const TAGS: Readonly<Record<string, Partial<Architecture>>> = {
  augreg_in21k: { classes: 21843 },
  orig_in21k: { classes: 0 },
  dino: { classes: 0, ...IMAGENET },
  mae: { classes: 0, ...IMAGENET },
  bamboo: { classes: 115217, cropShare: 1, ...CLIP },
};

/** Names whose default tag is one of the above. */
const DEFAULT_TAGS: Readonly<Record<string, string>> = {
  vit_small_patch8_224: "dino",
  vit_large_patch32_224: "orig_in21k",
};

/** For messages: the names that {@link architectureOf} knows. */
export const KNOWN_ARCHITECTURES =
  "vit_{tiny,small,base,large}_patch{8,16,32}_{224,384}, deit_{tiny,small,base}_patch16_{224,384}, each with any .tag";

/**
 * What a name implies, or undefined for a name that is not known: it may need what a plain ViT lacks (another norm,
 * register tokens, layer scale), so it is never guessed.
 * All of these are pre-norm blocks with erf GELU, LayerNorm of eps 1e-6, an MLP four times as wide, biases everywhere, a
 * class token that is pooled, and one final norm in front of the head.
 *
 * @param name "vit_base_patch16_224" or "vit_base_patch16_224.dino"
 * @param tag  of the weights, where the name has none
 * @see timm 1.0.31, models/vision_transformer.py and models/deit.py. timm registers only part of this grid; the names it
 *   leaves out say as much as the others.
 */
export function architectureOf(name: string, tag?: string): Architecture | undefined {
  const match =
    /^(?:(vit)_(tiny|small|base|large)_patch(8|16|32)|(deit)_(tiny|small|base)_patch(16))_(224|384)(?:\.(.+))?$/.exec(
      name,
    );
  if (match === null) return undefined;
  const [, vit, vitSize, vitPatch, , deitSize, deitPatch, image, ownTag] = match;
  const ofTag = TAGS[ownTag || tag || DEFAULT_TAGS[name] || ""];
  return {
    ...SIZES[vitSize ?? deitSize!]!,
    imageSize: Number(image),
    patchSize: Number(vitPatch ?? deitPatch),
    classes: 1000,
    cropShare: image === "384" ? 1 : 0.9,
    ...(vit === undefined ? IMAGENET : INCEPTION),
    ...ofTag,
  };
}
