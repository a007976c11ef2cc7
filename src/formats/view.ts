/** Tensors that are another view of a file's bytes than the one that is computed with. */
import { byteLength, type Dtype } from "./dtype.js";
import type { TensorEntry } from "./safetensors.js";
import { checkRange } from "./source.js";

/**
 * A tensor that lies in no file as it is: its bytes are made when they are first asked for, and kept.
 * @param file the one that it is made from: for messages, and for who asks which file a tensor belongs to
 */
export function madeEntry(
  { name, dtype, shape }: Pick<TensorEntry, "name" | "dtype" | "shape">,
  file: string,
  make: () => Promise<Uint8Array>,
): TensorEntry {
  const length = byteLength(dtype, shape);
  let made: Promise<Uint8Array> | undefined;
  const source = {
    name: file,
    size: length,
    read: async (offset: number, count: number) => {
      checkRange(file, length, offset, count);
      made ??= make();
      return (await made).subarray(offset, offset + count);
    },
  };
  return { name, dtype, shape, source, offset: 0, length };
}

/** Strides, in elements, of a tensor whose last index runs fastest. */
export function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** Whether elements with these strides follow each other without a gap. An axis of length 1 may have any stride. */
export const isRowMajor = (shape: readonly number[], strides: readonly number[]): boolean =>
  rowMajor(shape).every((stride, axis) => shape[axis] === 1 || strides[axis] === stride);

/**
 * Copies a strided view into bytes whose last index runs fastest. The view must lie inside `bytes`.
 * @param strides in elements, not negative
 */
export function gather(
  bytes: Uint8Array,
  dtype: Dtype,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array {
  const width = byteLength(dtype, [1]) as keyof typeof ELEMENTS;
  const Elements = ELEMENTS[width];
  const from = new Elements(new Uint8Array(bytes).buffer); // a copy, and so aligned
  const to = new Elements(shape.reduce((product, axis) => product * axis, 1));
  const inner = shape.at(-1) ?? 1;
  const step = strides.at(-1) ?? 1;
  const index = new Array<number>(Math.max(shape.length - 1, 0)).fill(0);
  for (let end = 0, start = 0; end < to.length; ) {
    for (let i = 0, at = start; i < inner; i++, at += step) to[end++] = from[at]!;
    for (let axis = index.length - 1; axis >= 0; axis--) {
      start += strides[axis]!;
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      start -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return new Uint8Array(to.buffer);
}

/** Arrays that move elements of so many bytes as they are: a number would not survive as a float64, whose NaN may change. */
const ELEMENTS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array };
