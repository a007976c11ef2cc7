import { inferLogical } from "./logical.js";
import { defineOp, noGradient } from "./op.js";

/** y = a ∨ b, element-wise. Spec: https://onnx.ai/onnx/operators/onnx__Or.html (opset 7). */
export const or = defineOp({ type: "Or", infer: inferLogical, vjp: noGradient("boolean output") });
