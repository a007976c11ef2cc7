import type { TensorType } from "../ir/graph.js";
import type { InferContext } from "./op.js";

/** Shape rule of the operators whose output is like their first input. */
export const inferUnary = ({ inputs: [x] }: InferContext): TensorType[] => [
  { dtype: x!.type.dtype, shape: x!.type.shape },
];
