import { elements } from "../ir/dim.js";
import { defineOp } from "./op.js";
import { inferReduce, reducedDims, repeatOver } from "./reduce.js";

/** y = mean of x over some axes. Spec: https://onnx.ai/onnx/operators/onnx__ReduceMean.html (opset 18). */
export const reduceMean = defineOp({
  type: "ReduceMean",
  infer: inferReduce,
  // dx = dy / n, repeated over the n elements behind each mean; dividing first touches the smaller tensor.
  vjp(g, node, [dy]) {
    const { dtype } = dy!.type;
    const n = elements(reducedDims(node));
    const share =
      typeof n === "number"
        ? g.mul(dy!, g.scalar(1 / n, dtype))
        : g.div(dy!, g.reshape(g.cast(g.shapeTensor([n]), dtype), []));
    return [repeatOver(g, node, share)];
  },
});
