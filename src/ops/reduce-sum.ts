import { defineOp } from "./op.js";
import { inferReduce, repeatOver } from "./reduce.js";

/** y = Σ x over some axes. Spec: https://onnx.ai/onnx/operators/onnx__ReduceSum.html (opset 13). */
export const reduceSum = defineOp({
  type: "ReduceSum",
  infer: inferReduce,
  vjp: (g, node, [dy]) => [repeatOver(g, node, dy!)],
});
