import { inferBroadcast, sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/** y = a / b. Spec: https://onnx.ai/onnx/operators/onnx__Div.html (opset 14). */
export const div = defineOp({
  type: "Div",
  infer: inferBroadcast,
  // da = dy / b, db = −(dy ⊙ y) / b; b is constant along the axes that are summed, so the sum comes first.
  vjp: (g, { inputs: [a, b], outputs: [y], needs }, [dy]) => [
    needs[0] ? sumTo(g, g.div(dy!, b!), a!.type.shape) : undefined,
    needs[1] ? g.neg(g.div(sumTo(g, g.mul(dy!, y!), b!.type.shape), b!)) : undefined,
  ],
});
