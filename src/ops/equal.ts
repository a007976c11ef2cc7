import { inferBroadcast } from "./broadcast.js";
import { defineOp, noGradient } from "./op.js";

/** y = (a = b), element-wise. Spec: https://onnx.ai/onnx/operators/onnx__Equal.html (opset 19). */
export const equal = defineOp({
  type: "Equal",
  infer: (context) => [{ dtype: "bool", shape: inferBroadcast(context)[0]!.shape }],
  vjp: noGradient("boolean output"),
});
