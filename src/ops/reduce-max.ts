import { defineOp } from "./op.js";
import { inferReduce, keptAxes, reducedAxes } from "./reduce.js";

/** y = the largest x along some axes. Spec: https://onnx.ai/onnx/operators/onnx__ReduceMax.html (opset 20). */
export const reduceMax = defineOp({
  type: "ReduceMax",
  infer: inferReduce,
  // dy goes to the x that is y; equal ones share it evenly, as in PyTorch's amax.
  vjp(g, node, [dy]) {
    const { inputs, outputs, name } = node;
    const [x] = inputs;
    const largest = g.cast(g.equal(x!, keptAxes(g, node, outputs[0]!)), dy!.type.dtype);
    const count = g.reduceSum(largest, [...reducedAxes(inputs, name)], true);
    return [g.mul(largest, g.div(keptAxes(g, node, dy!), count))];
  },
});
