/** Element types: their width in memory and in files, and their number in ONNX. */
import type { ElementType } from "./graph.js";

export const bytesPerElement: Readonly<Record<ElementType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

/** TensorProto.DataType of the ONNX specification. */
const onnxNumbers: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const elementTypes = new Map(Object.entries(onnxNumbers).map(([dtype, n]) => [n, dtype as ElementType]));

/** ONNX's number of an element type; undefined for a word that is none. */
export const onnxNumberOf = (dtype: string): number | undefined =>
  Object.hasOwn(onnxNumbers, dtype) ? onnxNumbers[dtype as ElementType] : undefined;

/** The element type of ONNX's number; undefined for those that a graph here cannot hold (string, complex, float8 …). */
export const elementTypeOf = (onnxNumber: number): ElementType | undefined => elementTypes.get(onnxNumber);
