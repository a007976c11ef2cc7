import { defineOp } from "./op.js";
import { inferAlongAxis } from "./softmax.js";

/** y = x − ln Σ_axis eˣ. Spec: https://onnx.ai/onnx/operators/onnx__LogSoftmax.html (opset 13). */
export const logSoftmax = defineOp({
  type: "LogSoftmax",
  infer: inferAlongAxis,
  // dx = dy − e^y · Σ_axis dy.
  vjp: (g, { outputs: [y], attrs }, [dy]) => [
    g.sub(dy!, g.mul(g.exp(y!), g.reduceSum(dy!, [attrs.int("axis", -1)], true))),
  ],
});
