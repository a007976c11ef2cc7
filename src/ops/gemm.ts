import { formatShape, type Shape, sameShape } from "../ir/dim.js";
import { broadcastShapes, sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/**
 * y = op(a)·op(b) + c for matrices, op transposing where transA, transB say so; c broadcasts to y and may be absent.
 * Spec: https://onnx.ai/onnx/operators/onnx__Gemm.html (opset 13), without its factors alpha and beta.
 */
export const gemm = defineOp({
  type: "Gemm",
  infer({ inputs: [a, b, c], attrs, name }) {
    const matrix = (shape: Shape, transposed: boolean): Shape => (transposed ? [...shape].reverse() : shape);
    if (attrs.float("alpha", 1) !== 1 || attrs.float("beta", 1) !== 1)
      throw new Error(`${name}: Gemm with alpha or beta other than 1 is not supported; scale with Mul.`);
    const left = matrix(a!.type.shape, attrs.int("transA", 0) === 1);
    const right = matrix(b!.type.shape, attrs.int("transB", 0) === 1);
    if (left.length !== 2 || right.length !== 2 || left[1] !== right[0])
      throw new Error(`${name}: ${formatShape(left)} · ${formatShape(right)} is no product of two matrices.`);
    const shape = [left[0]!, right[1]!];
    if (c && !sameShape(broadcastShapes(c.type.shape, shape, name), shape))
      throw new Error(`${name}: c ${formatShape(c.type.shape)} does not broadcast to ${formatShape(shape)}.`);
    return [{ dtype: a!.type.dtype, shape }];
  },
  // d op(a) = dy·op(b)ᵀ and d op(b) = op(a)ᵀ·dy, where a transposed operand's gradient is transposed; dc = dy.
  vjp(g, { inputs: [a, b, c], attrs, needs }, [dy]) {
    const [transA, transB] = [attrs.int("transA", 0) === 1, attrs.int("transB", 0) === 1];
    const da = () =>
      transA
        ? g.gemm(b!, dy!, undefined, { transA: transB, transB: true })
        : g.gemm(dy!, b!, undefined, { transB: !transB });
    const db = () =>
      transB
        ? g.gemm(dy!, a!, undefined, { transA: true, transB: transA })
        : g.gemm(a!, dy!, undefined, { transA: !transA });
    return [
      needs[0] ? da() : undefined,
      needs[1] ? db() : undefined,
      c && needs[2] ? sumTo(g, dy!, c.type.shape) : undefined,
    ];
  },
});
