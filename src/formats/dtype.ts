/**
 * Element types of safetensors and their width in bits.
 * Source: `Dtype` of huggingface/safetensors 0.8 (safetensors/src/tensor.rs).
 */
const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type Dtype = keyof typeof BITS;

export const isDtype = (name: unknown): name is Dtype => typeof name === "string" && Object.hasOwn(BITS, name);

/** From the narrowest to the widest, equals in the order of the specification: the reference writer sorts by it. */
export const dtypeRank = (dtype: Dtype): number => Object.keys(BITS).indexOf(dtype);

/** Bytes that a tensor takes; NaN if an axis is not a natural number, or the bits are over 2⁵³ − 1 or no whole bytes. */
export function byteLength(dtype: Dtype, shape: readonly unknown[]): number {
  let bits: number = BITS[dtype];
  for (const axis of shape) {
    if (!Number.isSafeInteger(axis) || (axis as number) < 0) return Number.NaN;
    bits *= axis as number;
    if (!Number.isSafeInteger(bits)) return Number.NaN;
  }
  return bits % 8 === 0 ? bits / 8 : Number.NaN;
}
