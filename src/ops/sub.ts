import { inferBroadcast, sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/** y = a − b. Spec: https://onnx.ai/onnx/operators/onnx__Sub.html (opset 14). */
export const sub = defineOp({
  type: "Sub",
  infer: inferBroadcast,
  // da = dy, db = −dy; the sign goes on what is left after the sum over broadcast axes.
  vjp: (g, { inputs: [a, b], needs }, [dy]) => [
    needs[0] ? sumTo(g, dy!, a!.type.shape) : undefined,
    needs[1] ? g.neg(sumTo(g, dy!, b!.type.shape)) : undefined,
  ],
});
