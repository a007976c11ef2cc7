import type { Builder } from "../ir/builder.js";
import { elements, formatShape, type Shape } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { broadcastShapes, sumTo } from "./broadcast.js";
import { defineOp, type InferContext, type VjpContext } from "./op.js";

/** Shape of op(a)·op(b) over the last two axes, the leading ones broadcast. */
function productShape({ inputs: [a, b], name }: InferContext, transA: boolean, transB: boolean): Shape {
  const [sa, sb] = [a!.type.shape, b!.type.shape];
  const ends = (shape: Shape, transposed: boolean) => (transposed ? [shape.at(-1)!, shape.at(-2)!] : shape.slice(-2));
  if (sa.length < 2 || sb.length < 2)
    throw new Error(`${name}: operands of two or more axes expected, found ${formatShape(sa)} and ${formatShape(sb)}.`);
  const [m, k] = ends(sa, transA);
  const [inner, n] = ends(sb, transB);
  if (k !== inner)
    throw new Error(
      `${name}: inner dimensions differ: ${formatShape(sa)}${transA ? "ᵀ" : ""} · ${formatShape(sb)}${transB ? "ᵀ" : ""}.`,
    );
  return [...broadcastShapes(sa.slice(0, -2), sb.slice(0, -2), name), m!, n!];
}

/** y = α op(a)·op(b)  ⇒  d op(a) = α dy·op(b)ᵀ and d op(b) = α op(a)ᵀ·dy; a transposed operand's gradient is transposed. */
function productVjp(
  g: Builder,
  { inputs: [a, b], needs }: VjpContext,
  dy: Value,
  transA: boolean,
  transB: boolean,
  alpha: number,
) {
  // A matrix shared by all leading axes: one product over all rows instead of a batch of products and a sum.
  const shared = !transA && a!.type.shape.length > 2 && b!.type.shape.length === 2;
  const rows = (x: Value): Value => g.reshape(x, [elements(x.type.shape.slice(0, -1)), x.type.shape.at(-1)!]);
  const da = () =>
    transA ? g.matmul(b!, dy, { transA: transB, transB: true, alpha }) : g.matmul(dy, b!, { transB: !transB, alpha });
  const db = () => {
    if (shared)
      return transB
        ? g.matmul(rows(dy), rows(a!), { transA: true, alpha })
        : g.matmul(rows(a!), rows(dy), { transA: true, alpha });
    return transB
      ? g.matmul(dy, a!, { transA: true, transB: transA, alpha })
      : g.matmul(a!, dy, { transA: !transA, alpha });
  };
  return [needs[0] ? sumTo(g, da(), a!.type.shape) : undefined, needs[1] ? sumTo(g, db(), b!.type.shape) : undefined];
}

/** y = a·b over the last two axes. Spec: https://onnx.ai/onnx/operators/onnx__MatMul.html (opset 13). */
export const matmul = defineOp({
  type: "MatMul",
  infer: (node) => [{ dtype: node.inputs[0]!.type.dtype, shape: productShape(node, false, false) }],
  vjp: (g, node, [dy]) => productVjp(g, node, dy!, false, false, 1),
});

/**
 * y = alpha · op(a)·op(b), op transposing the last two axes where asked. ONNX Runtime's contribution:
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedMatMul
 */
export const fusedMatMul = defineOp({
  type: "FusedMatMul",
  domain: "com.microsoft",
  infer: (node) => {
    const [transA, transB] = [node.attrs.int("transA", 0) === 1, node.attrs.int("transB", 0) === 1];
    return [{ dtype: node.inputs[0]!.type.dtype, shape: productShape(node, transA, transB) }];
  },
  vjp: (g, node, [dy]) => {
    const { attrs } = node;
    return productVjp(
      g,
      node,
      dy!,
      attrs.int("transA", 0) === 1,
      attrs.int("transB", 0) === 1,
      attrs.float("alpha", 1),
    );
  },
});
