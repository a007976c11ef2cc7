import { defineOp } from "./op.js";
import { inferUnary } from "./unary.js";

/** y = ln x. Spec: https://onnx.ai/onnx/operators/onnx__Log.html (opset 13). */
export const log = defineOp({
  type: "Log",
  infer: inferUnary,
  // dx = dy / x.
  vjp: (g, { inputs: [x] }, [dy]) => [g.div(dy!, x!)],
});
