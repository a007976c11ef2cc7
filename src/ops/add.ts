import { addDims } from "../ir/dim.js";
import { inferBroadcast, sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/** y = a + b. Spec: https://onnx.ai/onnx/operators/onnx__Add.html (opset 14). */
export const add = defineOp({
  type: "Add",
  infer: (context) => inferBroadcast(context, addDims),
  // da = dy, db = dy, each summed over the axes that were broadcast.
  vjp: (g, { inputs: [a, b], needs }, [dy]) => [
    needs[0] ? sumTo(g, dy!, a!.type.shape) : undefined,
    needs[1] ? sumTo(g, dy!, b!.type.shape) : undefined,
  ],
});
