import type { Interpolation } from "./resample.js";

/** How a model wants its images. The order is fixed: resize, centre crop, rescale, normalise. */
export interface ImagePreprocessing {
  readonly kind: "image";
  /**
   * `exact`: to this size, whatever the shape; `shortest-edge`: the shape is kept; `cover`: the shape is kept, and the
   * image just covers this size, both edges rounded (half to even). Pixels.
   */
  readonly resize:
    | { readonly mode: "exact"; readonly height: number; readonly width: number }
    | { readonly mode: "shortest-edge"; readonly edge: number }
    | { readonly mode: "cover"; readonly height: number; readonly width: number };
  /** Cut from the middle after resizing; an image smaller than this gets black margins. Pixels. */
  readonly crop?: {
    readonly height: number;
    readonly width: number;
    /** Of half a pixel, where the margin is odd: timm rounds half to even (the default), transformers down. */
    readonly rounding?: "half-even" | "down";
  };
  readonly interpolation: Interpolation;
  /** Factor that takes 0…255 to the range in which mean and std are given, as a rule 1/255. */
  readonly rescale: number;
  /** One number a channel: (rescale · value − mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** 3 (RGB) or 1 (grey). */
  readonly channels: number;
}
