import { defineOp, noGradient } from "./op.js";

/** Dimensions start … end of a tensor as int64. Spec: https://onnx.ai/onnx/operators/onnx__Shape.html (opset 21). */
export const shape = defineOp({
  type: "Shape",
  infer({ inputs: [x], attrs }) {
    const dims = x!.type.shape;
    const contents = dims.slice(attrs.int("start", 0), attrs.has("end") ? attrs.int("end") : undefined);
    return [{ dtype: "int64", shape: [contents.length], contents }];
  },
  vjp: noGradient("integer output"),
});
