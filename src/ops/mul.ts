import { multiplyDims } from "../ir/dim.js";
import { inferBroadcast, sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/** y = a ⊙ b. Spec: https://onnx.ai/onnx/operators/onnx__Mul.html (opset 14). */
export const mul = defineOp({
  type: "Mul",
  infer: (context) => inferBroadcast(context, multiplyDims),
  // da = dy ⊙ b, db = dy ⊙ a.
  vjp: (g, { inputs: [a, b], needs }, [dy]) => [
    needs[0] ? sumTo(g, g.mul(dy!, b!), a!.type.shape) : undefined,
    needs[1] ? sumTo(g, g.mul(dy!, a!), b!.type.shape) : undefined,
  ],
});
