import { broadcastShapes, sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/** y = a where the condition holds, b elsewhere. Spec: https://onnx.ai/onnx/operators/onnx__Where.html (opset 16). */
export const where = defineOp({
  type: "Where",
  infer({ inputs: [condition, a, b], name }) {
    if (condition!.type.dtype !== "bool" || a!.type.dtype !== b!.type.dtype)
      throw new Error(
        `${name}: a bool and two operands of one type expected, found ` +
          `${condition!.type.dtype}, ${a!.type.dtype} and ${b!.type.dtype}.`,
      );
    const chosen = broadcastShapes(a!.type.shape, b!.type.shape, name);
    return [{ dtype: a!.type.dtype, shape: broadcastShapes(condition!.type.shape, chosen, name) }];
  },
  // da = dy where the condition holds, db = dy elsewhere; 0 in the other places.
  vjp(g, { inputs: [condition, a, b], needs }, [dy]) {
    const zero = g.scalar(0, dy!.type.dtype);
    return [
      undefined,
      needs[1] ? sumTo(g, g.where(condition!, dy!, zero), a!.type.shape) : undefined,
      needs[2] ? sumTo(g, g.where(condition!, zero, dy!), b!.type.shape) : undefined,
    ];
  },
});
