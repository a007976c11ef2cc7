/** ONNX Runtime's own operators in ONNX's, and no more outputs than are read: for files that other runtimes open. */
import type { Builder } from "../ir/builder.js";
import type { Dim } from "../ir/dim.js";
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
      case "SimplifiedLayerNormalization": {
        if (node.outputs.slice(1).some((y) => read.has(y))) return undefined;
        const [x, scale] = node.inputs as readonly [Value, Value];
        const meanSquare = g.add(
          g.reduceMean(g.mul(x, x), [-1], true),
          g.scalar(attrs.float("epsilon", 1e-5), x.type.dtype),
        );
        return [g.mul(g.div(x, g.sqrt(meanSquare)), scale)];
      }
      case "RotaryEmbedding":
        return [rotation(g, node.inputs as readonly [Value, Value, Value, Value], attrs)];
      case "LayerNormalization": // its statistics are for the backward pass
        if (node.outputs.slice(1).some((y) => read.has(y))) return undefined;
        return g.emit(node.op, node.inputs, node.attributes);
      default:
        return undefined;
    }
  });
}

/** The formula of ops/rotary-embedding.ts, its halves side by side. */
function rotation(g: Builder, [x, positions, cos, sin]: readonly [Value, Value, Value, Value], attrs: AttributeReader) {
  const [batch, tokens, width] = x.type.shape as [Dim, Dim, number];
  const heads = attrs.int("num_heads");
  const half = cos.type.shape[1] as number;
  const rest = width / heads - 2 * half;
  const byHead = g.reshape(x, [batch, tokens, heads, width / heads]);
  const [a, b, ...still] = g.split(byHead, [half, half, ...(rest > 0 ? [rest] : [])], 3) as [Value, Value, ...Value[]];
  const [c, s] = [cos, sin].map((table) => g.reshape(g.gather(table, positions, 0), [batch, tokens, 1, half])) as [
    Value,
    Value,
  ];
  const turned = [g.sub(g.mul(a, c), g.mul(b, s)), g.add(g.mul(b, c), g.mul(a, s))];
  return g.reshape(g.concat([...turned, ...still], 3), [batch, tokens, width]);
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
