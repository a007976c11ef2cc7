import { defineOp, noGradient } from "./op.js";
import { inferReduce } from "./reduce.js";

/** y = the largest x along some axes. Spec: https://onnx.ai/onnx/operators/onnx__ReduceMax.html (opset 20). */
export const reduceMax = defineOp({
  type: "ReduceMax",
  infer: inferReduce,
  vjp: noGradient("it measures differences, nothing is trained through it"),
});
