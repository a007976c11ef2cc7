/**
 * Weights that are stored narrower than they are computed with become float32 before the device gets them: for WebGPU,
 * which has no Cast of bfloat16 at all, and one of float16 on some adapters only. Twice the bytes, and a copy in memory.
 */
import { type FloatDtype, toFloat32 } from "../base/float.js";
import type { ElementType, Graph, TensorData, Value } from "../ir/graph.js";
import { replaceWeights } from "./replace-weights.js";

const narrow: Partial<Record<ElementType, FloatDtype>> = { float16: "F16", bfloat16: "BF16" };

export const storeWide = (graph: Graph): Graph =>
  replaceWeights(graph, (weight: Value): Value => {
    const { data, type } = weight;
    const dtype = data && data.dtype !== type.dtype ? narrow[data.dtype] : undefined;
    return data && dtype ? { ...weight, data: widened(data, dtype) } : weight;
  });

/** The bytes of a weight in a file are read and widened when they are asked for. */
function widened(data: TensorData, dtype: FloatDtype): TensorData {
  const wide = (bytes: Uint8Array): Uint8Array => new Uint8Array(toFloat32(bytes, dtype).buffer);
  if (data.kind === "inline") return { kind: "inline", dtype: "float32", bytes: wide(data.bytes) };
  const { source, offset, length } = data;
  const read = async (from: number, count: number): Promise<Uint8Array> =>
    wide(await source.read(offset + from / 2, count / 2));
  return { kind: "external", dtype: "float32", source: { name: source.name, read }, offset: 0, length: 2 * length };
}
