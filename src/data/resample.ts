import type { Pixels } from "./pixels.js";

/**
 * Resizing exactly as Pillow does it, to the bit: convolution with a kernel that widens when the image shrinks
 * (antialiasing), along rows and along columns, 8-bit values between the two passes, weights in 22-bit fixed point.
 * Models were trained on images resized this way; other libraries' kernels differ by several grey levels.
 *
 * @see Pillow 13, src/libImaging/Resample.c and Geometry.c (ImagingScaleAffine, for "nearest"). Pillow 12 never takes the
 *   columns first; docs/images.md says what that changes.
 */
export function resample(image: Pixels, width: number, height: number, interpolation: Interpolation): Pixels {
  if (interpolation === "nearest") return nearest(image, width, height);
  const rows = (from: Pixels): Pixels =>
    width === from.width ? from : resampleRows(from, kernelWeights(from.width, width, interpolation));
  const columns = (from: Pixels): Pixels =>
    height === from.height ? from : resampleColumns(from, kernelWeights(from.height, height, interpolation));
  const fewerRows = image.height - height;
  const columnsFirst = fewerRows > 0 && fewerRows > 2 * (image.width - width); // cheaper; the rounding in between differs
  return columnsFirst ? rows(columns(image)) : columns(rows(image));
}

/** Names as in timm's and torchvision's settings. */
export type Interpolation = "bicubic" | "bilinear" | "nearest" | "lanczos";

interface Kernel {
  /** Half the width, in pixels of the image that is read, when it is not shrunk. */
  readonly support: number;
  weight(x: number): number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

const kernels: Record<Exclude<Interpolation, "nearest">, Kernel> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  // Keys' cubic with a = −1/2.
  bicubic: {
    support: 2,
    weight(signed) {
      const x = Math.abs(signed);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

const precisionBits = 22; // 32 − 8 for the pixel − 2 for the kernels' overshoot

/** For every position of the result: the first position read, and the weights from there on. */
interface Weights {
  readonly start: Int32Array;
  readonly weights: readonly Int32Array[];
}

function kernelWeights(from: number, to: number, name: keyof typeof kernels): Weights {
  const kernel = kernels[name];
  const scale = from / to;
  const widening = Math.max(1, scale);
  const support = kernel.support * widening;
  const start = new Int32Array(to);
  const weights = Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(from, Math.trunc(center + support + 0.5));
    start[i] = first;
    const inverse = 1 / widening;
    const exact = Float64Array.from({ length: last - first }, (_, j) =>
      kernel.weight((first + j - center + 0.5) * inverse),
    );
    let sum = 0;
    for (const w of exact) sum += w;
    return Int32Array.from(exact, (w) => {
      const fixed = (w / sum) * 2 ** precisionBits;
      return Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
  });
  return { start, weights };
}

const half = 2 ** (precisionBits - 1);

function resampleRows(image: Pixels, { start, weights }: Weights): Pixels {
  const { height, channels, data } = image;
  const width = weights.length;
  const out = new Uint8ClampedArray(width * height * channels); // clamps the kernels' overshoot
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const w = weights[x]!;
      const first = (y * image.width + start[x]!) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = half;
        for (let j = 0, from = first + c; j < w.length; j++, from += channels) sum += Math.imul(data[from]!, w[j]!);
        out[to++] = sum >> precisionBits;
      }
    }
  return { width, height, channels, data: new Uint8Array(out.buffer) };
}

function resampleColumns(image: Pixels, { start, weights }: Weights): Pixels {
  const { width, channels, data } = image;
  const height = weights.length;
  const stride = width * channels;
  const out = new Uint8ClampedArray(height * stride);
  for (let y = 0, to = 0; y < height; y++) {
    const w = weights[y]!;
    const first = start[y]! * stride;
    for (let i = 0; i < stride; i++) {
      let sum = half;
      for (let j = 0, from = first + i; j < w.length; j++, from += stride) sum += Math.imul(data[from]!, w[j]!);
      out[to++] = sum >> precisionBits;
    }
  }
  return { width, height, channels, data: new Uint8Array(out.buffer) };
}

function nearest(image: Pixels, width: number, height: number): Pixels {
  const { channels } = image;
  const columns = nearestPositions(image.width, width);
  const rows = nearestPositions(image.height, height);
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        data[at++] = image.data[(rows[y]! * image.width + columns[x]!) * channels + c]!;
  return { width, height, channels, data };
}

function nearestPositions(from: number, to: number): Int32Array {
  const positions = new Int32Array(to);
  const scale = from / to;
  // Pillow adds the step up instead of multiplying: its rounding decides which pixel a tie takes.
  for (let i = 0, at = scale * 0.5; i < to; i++, at += scale) positions[i] = Math.min(from - 1, Math.trunc(at));
  return positions;
}
