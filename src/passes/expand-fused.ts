/** ONNX Runtime's own operators in ONNX's, and no more outputs than are read: for files that other runtimes open. */
import { AttributeReader, dependenciesOf, type Graph, type Node, subgraphsOf, type Value } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

export function expandFused(graph: Graph): Graph {
  const read = new Set(valuesRead(graph));
  return rebuild(graph, (g, node) => {
    const attrs = new AttributeReader(node.attributes, node.name);
    switch (node.op) {
      case "QuickGelu": {
        const x = node.inputs[0]!;
        return [g.mul(x, g.sigmoid(g.mul(x, g.scalar(attrs.float("alpha", 1.702), x.type.dtype))))];
      }
      case "FusedMatMul": {
        const [a, b] = node.inputs as readonly [Value, Value];
        const alpha = attrs.float("alpha", 1);
        const scaled = alpha === 1 ? a : g.mul(a, g.scalar(alpha, a.type.dtype));
        const oriented = (x: Value, transposed: number): Value => (transposed === 1 ? g.transpose(x, swapLast(x)) : x);
        return [g.matmul(oriented(scaled, attrs.int("transA", 0)), oriented(b, attrs.int("transB", 0)))];
      }
      case "LayerNormalization": // its statistics are for the backward pass
        if (node.outputs.slice(1).some((y) => read.has(y))) return undefined;
        return g.emit(node.op, node.inputs, node.attributes);
      default:
        return undefined;
    }
  });
}

/** The permutation that swaps the last two axes. */
function swapLast({ type: { shape } }: Value): number[] {
  const axes = [...shape.keys()];
  return [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!];
}

const valuesRead = ({ nodes, outputs }: Graph): (Value | undefined)[] => [
  ...outputs.map(({ value }) => value),
  ...nodes.flatMap((node: Node) => [...dependenciesOf(node), ...subgraphsOf(node).flatMap(valuesRead)]),
];
