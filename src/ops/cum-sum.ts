import { int } from "../ir/graph.js";
import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/**
 * Running sums along an axis: y_i = Σ_{j ≤ i} x_j; `reverse`: Σ_{j ≥ i}; `exclusive`: without x_i itself.
 * Spec: https://onnx.ai/onnx/operators/onnx__CumSum.html (opset 14).
 */
export const cumSum = defineOp({
  type: "CumSum",
  infer: inferUnary,
  // x_j is in every y_i with i ≥ j, so dx is the running sum of dy from the other end.
  vjp: (g, { inputs: [, axis], attrs, attributes }, [dy]) =>
    g.emit("CumSum", [dy, axis], { ...attributes, reverse: int(1 - attrs.int("reverse", 0)) }),
});
