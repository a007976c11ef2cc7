import { defineOp } from "./op.js";

/** y = x. Spec: https://onnx.ai/onnx/operators/onnx__Identity.html (opset 21). */
export const identity = defineOp({
  type: "Identity",
  infer: ({ inputs: [x] }) => [x!.type],
  vjp: (_, __, [dy]) => [dy],
});
