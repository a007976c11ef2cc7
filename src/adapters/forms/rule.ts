import type { AForm, LayerShape, Support } from "../structure.js";

/** A stored tensor of a support: one whole (`X`), or the factors Xd [rows, r] and Xu [r, columns] of low rank. */
export type Part = "X" | "Xd" | "Xu";

export interface StoredTensor {
  readonly part: Part;
  readonly shape: readonly number[];
}

/**
 * Where a support's stored numbers lie in the flat parameters. A fixed adapter and the entangled supernet differ only in
 * this view: there, Xd has more columns than a smaller rank uses, and a vector is its column 0.
 */
export interface StoredView {
  /** The first number of X or Xd. */
  readonly down: number;
  /** The distance between rows of X or Xd. */
  readonly stride: number;
  /** The first number of Xu; −1 where there is none. */
  readonly up: number;
}

/** Where a support acts in the packed effective buffer. */
export interface Target {
  /** The vector that vectors and scalars (and C of any form) are added to. */
  readonly vector: { readonly offset: number; readonly stride: number; readonly length: number } | undefined;
  /** The factors that low rank fills: [rows, stride] at `down`, [·, columns] at `up`, up to this rank. */
  readonly factors:
    | {
        readonly down: number;
        readonly up: number;
        readonly rank: number;
        readonly stride: number;
        readonly rows: number;
        readonly columns: number;
      }
    | undefined;
}

/** What a form is: its stored tensors, and its map from stored to effective numbers with the adjoint of that map. */
export interface FormRule {
  /** Names and shapes as an adapter file holds them. */
  stored(support: Support, layer: LayerShape, a: AForm): readonly StoredTensor[];
  /** Adds this support to `effective`, which holds the constants (zeros and ones) that the layer starts from. */
  effective(params: Float32Array, view: StoredView, effective: Float32Array, target: Target): void;
  /** Adds Jᵀ·gradEffective to `grad`, J being the derivative of {@link effective} at `params`. */
  pullBack(
    gradEffective: Float32Array,
    target: Target,
    params: Float32Array,
    view: StoredView,
    grad: Float32Array,
  ): void;
  /** Adds row `i` of the support tensor, broadcast to the length of `row`. */
  addRow(params: Float32Array, view: StoredView, i: number, row: Float64Array): void;
}
