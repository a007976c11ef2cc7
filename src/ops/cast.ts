import type { ElementType } from "../ir/graph.js";
import { defineOp } from "./op.js";

/**
 * The values in another element type. In the graph `to` is the type's name; files hold ONNX's number for it.
 * Spec: https://onnx.ai/onnx/operators/onnx__Cast.html (opset 21).
 */
export const cast = defineOp({
  type: "Cast",
  infer: ({ inputs: [x], attrs }) => [{ dtype: attrs.string("to") as ElementType, shape: x!.type.shape }],
  // dx = dy in the type of x. (To or from an integer no gradient is asked for.)
  vjp: (g, { inputs: [x] }, [dy]) => [g.cast(dy!, x!.type.dtype)],
});
