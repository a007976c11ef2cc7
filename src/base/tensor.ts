export type TensorElements = Float32Array | Int32Array | Uint8Array | BigInt64Array;

/** A dense array in row-major order: what goes into a graph and what comes out. A bool takes one byte, 0 or 1. */
export interface Tensor {
  readonly dtype: "float32" | "int32" | "bool" | "int64";
  readonly shape: readonly number[];
  readonly data: TensorElements;
}
