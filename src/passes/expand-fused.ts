/** ONNX Runtime's own operators in ONNX's: for files that other runtimes and devices open. */
import { AttributeReader, type Graph, type Value } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

export const expandFused = (graph: Graph): Graph =>
  rebuild(graph, (g, node) => {
    const attrs = new AttributeReader(node.attributes, node.name);
    if (node.op === "QuickGelu") {
      const x = node.inputs[0]!;
      return [g.mul(x, g.sigmoid(g.mul(x, g.scalar(attrs.float("alpha", 1.702)))))];
    }
    if (node.op !== "FusedMatMul") return undefined;
    const [a, b] = node.inputs as readonly [Value, Value];
    const oriented = (x: Value, transposed: number): Value => {
      const last = x.type.shape.length - 1;
      const perm = Array.from({ length: last + 1 }, (_, i) => (i < last - 1 ? i : 2 * last - 1 - i));
      return transposed ? g.transpose(x, perm) : x;
    };
    const alpha = attrs.float("alpha", 1);
    // The factor goes to the smaller operand of the two products that an attention has: its query.
    const scaled = alpha === 1 ? a : g.mul(a, g.scalar(alpha));
    return [g.matmul(oriented(scaled, attrs.int("transA", 0)), oriented(b, attrs.int("transB", 0)))];
  });
