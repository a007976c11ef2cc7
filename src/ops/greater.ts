import { inferBroadcast } from "./broadcast.js";
import { defineOp, noGradient } from "./op.js";

/** y = (a > b), element-wise. Spec: https://onnx.ai/onnx/operators/onnx__Greater.html (opset 13). */
export const greater = defineOp({
  type: "Greater",
  infer: (context) => [{ dtype: "bool", shape: inferBroadcast(context)[0]!.shape }],
  vjp: noGradient("boolean output"),
});
