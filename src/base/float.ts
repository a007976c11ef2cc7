/** The floating-point dtypes that are computed with, always as float32. Bytes are little-endian, as in every machine that runs JavaScript. */
export type FloatDtype = "F32" | "F16" | "BF16" | "F64";

/**
 * Stored numbers as float32. Exact for F16 and BF16 (subnormals, infinities and NaN included); F64 is rounded to nearest.
 * The result never shares memory with `bytes`, which may start at any address.
 */
export function toFloat32(bytes: Uint8Array, dtype: FloatDtype): Float32Array<ArrayBuffer> {
  const { buffer } = new Uint8Array(bytes); // a copy, and so aligned
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return new Float32Array(new Float64Array(buffer));
    case "F16": {
      const halves = new Uint16Array(buffer);
      const bits = new Uint32Array(halves.length);
      const table = halfTable();
      for (let i = 0; i < halves.length; i++) bits[i] = table[halves[i]!]!;
      return new Float32Array(bits.buffer);
    }
    case "BF16": {
      const tops = new Uint16Array(buffer);
      const bits = new Uint32Array(tops.length);
      for (let i = 0; i < tops.length; i++) bits[i] = tops[i]! << 16;
      return new Float32Array(bits.buffer);
    }
  }
}

/** Float32 numbers in a stored dtype: to nearest, ties to even; too large becomes infinity; a NaN stays a (quiet) NaN. */
export function fromFloat32(values: Float32Array, dtype: FloatDtype): Uint8Array<ArrayBuffer> {
  if (dtype === "F64") return new Uint8Array(new Float64Array(values).buffer);
  const copy = new Float32Array(values);
  if (dtype === "F32") return new Uint8Array(copy.buffer);
  const round = dtype === "F16" ? halfBits : bfloatBits;
  const bits = new Uint32Array(copy.buffer);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = round(bits[i]!);
  return new Uint8Array(out.buffer);
}

let table: Uint32Array | undefined;

/** Float32 bits of each of the 65,536 half-precision numbers. */
function halfTable(): Uint32Array {
  if (table !== undefined) return table;
  const floats = new Float32Array(1);
  const bits = new Uint32Array(floats.buffer);
  table = new Uint32Array(2 ** 16);
  for (let half = 0; half < table.length; half++) {
    const sign = half & 0x8000;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) bits[0] = 0x7f800000 | (fraction << 13);
    else floats[0] = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
    table[half] = bits[0]! | (sign << 16);
  }
  return table;
}

/** Half-precision bits nearest to the float32 of these bits. */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // from 65,520 on: infinity
  if (magnitude >= 0x38800000) {
    // Normal: the bias falls from 127 to 15; a carry of the rounding runs into the exponent, as it should.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
  }
  if (magnitude <= 0x33000000) return sign; // up to 2⁻²⁵, half of the smallest subnormal: zero
  // Subnormal: a multiple of 2⁻²⁴. The fraction with its leading one is shifted there and rounded.
  const shift = 126 - (magnitude >> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const halfway = 1 << (shift - 1);
  return sign | ((fraction + halfway - 1 + ((fraction >> shift) & 1)) >> shift);
}

/** bfloat16 bits nearest to the float32 of these bits. */
function bfloatBits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN: quiet, sign and payload kept
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
