import type { TensorType } from "../ir/graph.js";
import { inferBroadcast } from "./broadcast.js";
import type { InferContext } from "./op.js";

/** Shape rule of And and Or. */
export function inferLogical(context: InferContext): TensorType[] {
  const wrong = context.inputs.find(({ type }) => type.dtype !== "bool");
  if (wrong) throw new Error(`${context.name}: operands of type bool expected, found ${wrong.type.dtype}.`);
  return inferBroadcast(context);
}
