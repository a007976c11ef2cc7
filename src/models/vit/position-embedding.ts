import type { Size } from "../../formats/fields.js";

/** A table of position embeddings [prefixTokens + rows·columns, width], and the grid that it shall fit. */
export interface Resampling {
  readonly width: number;
  /** Tokens in front of the patches (the class token): their embeddings are kept. */
  readonly prefixTokens: number;
  readonly oldGrid: Size;
  readonly newGrid: Size;
}

/**
 * Position embeddings for another grid of patches, as timm resamples them: bicubic with antialiasing, that is the kernel
 * of a = −0.5, stretched by the scale where the grid shrinks, and normalised at the borders.
 * @see timm 1.0.31, layers/pos_embed.py, `resample_abs_pos_embed`; PyTorch's `interpolate(…, antialias=True)`
 */
export const resampleTimm = (positions: Float32Array, r: Resampling): Float32Array =>
  resample(positions, r, antialiased);

/**
 * The same as transformers does it: bicubic without antialiasing (a = −0.75), the border repeated.
 * @see transformers 5.23, models/vit, `interpolate_pos_encoding`; PyTorch's `interpolate(…, align_corners=False)`.
 *   transformers takes the old grid for square; here the true one is used.
 */
export const resampleTransformers = (positions: Float32Array, r: Resampling): Float32Array =>
  resample(positions, r, plain);

/** The weights that one output position gives to input positions. */
type Taps = readonly { readonly at: number; readonly weight: number }[];
type Kernel = (oldLength: number, newLength: number) => readonly Taps[];

function resample(
  positions: Float32Array,
  { width, prefixTokens, oldGrid, newGrid }: Resampling,
  kernel: Kernel,
): Float32Array {
  const [oldRows, oldColumns] = oldGrid;
  const [rows, columns] = newGrid;
  const prefix = prefixTokens * width;
  if (rows === oldRows && columns === oldColumns) return positions.slice();
  const out = new Float32Array(prefix + rows * columns * width);
  out.set(positions.subarray(0, prefix));
  // Separable: along the columns of every row first, then along the rows. Sums in double precision.
  const wide = new Float64Array(oldRows * columns * width);
  kernel(oldColumns, columns).forEach((taps, x) => {
    for (let y = 0; y < oldRows; y++) {
      for (const { at, weight } of taps) {
        const from = prefix + (y * oldColumns + at) * width;
        const to = (y * columns + x) * width;
        for (let i = 0; i < width; i++) wide[to + i]! += weight * positions[from + i]!;
      }
    }
  });
  const line = columns * width;
  kernel(oldRows, rows).forEach((taps, y) => {
    for (let i = 0; i < line; i++) {
      let sum = 0;
      for (const { at, weight } of taps) sum += weight * wide[at * line + i]!;
      out[prefix + y * line + i] = sum;
    }
  });
  return out;
}

/** Keys' cubic convolution kernel (1981) of parameter a, at distance x. */
function cubic(x: number, a: number): number {
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

const antialiased: Kernel = (oldLength, newLength) => {
  const scale = oldLength / newLength;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: newLength }, (_, i) => {
    const center = scale * (i + 0.5);
    const first = Math.max(Math.trunc(center - 2 * stretch + 0.5), 0);
    const end = Math.min(Math.trunc(center + 2 * stretch + 0.5), oldLength);
    const taps = Array.from({ length: end - first }, (_, j) => ({
      at: first + j,
      weight: cubic((first + j + 0.5 - center) / stretch, -0.5),
    }));
    const total = taps.reduce((sum, { weight }) => sum + weight, 0);
    return taps.map(({ at, weight }) => ({ at, weight: weight / total }));
  });
};

const plain: Kernel = (oldLength, newLength) =>
  Array.from({ length: newLength }, (_, i) => {
    const center = (oldLength / newLength) * (i + 0.5) - 0.5;
    const floor = Math.floor(center);
    return [-1, 0, 1, 2].map((step) => ({
      at: Math.min(Math.max(floor + step, 0), oldLength - 1),
      weight: cubic(floor + step - center, -0.75),
    }));
  });
