import { inferLogical } from "./logical.js";
import { defineOp, noGradient } from "./op.js";

/** y = a ∧ b, element-wise. Spec: https://onnx.ai/onnx/operators/onnx__And.html (opset 7). */
export const and = defineOp({ type: "And", infer: inferLogical, vjp: noGradient("boolean output") });
