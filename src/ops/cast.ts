import { bytesPerElement } from "../ir/element-type.js";
import type { ElementType } from "../ir/graph.js";
import { defineOp } from "./op.js";

const isElementType = (word: string): word is ElementType => Object.hasOwn(bytesPerElement, word);

/**
 * The values in another element type. In the graph `to` is the type's name; files hold ONNX's number for it.
 * Spec: https://onnx.ai/onnx/operators/onnx__Cast.html (opset 21).
 */
export const cast = defineOp({
  type: "Cast",
  infer({ inputs: [x], attrs, name }) {
    const to = attrs.string("to");
    if (!isElementType(to)) throw new Error(`${name}: "${to}" is no element type.`);
    return [{ dtype: to, shape: x!.type.shape }];
  },
  // dx = dy in the type of x. (To or from an integer no gradient is asked for.)
  vjp: (g, { inputs: [x] }, [dy]) => [g.cast(dy!, x!.type.dtype)],
});
