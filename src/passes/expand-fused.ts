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
      case "FusedMatMul":
        return [expandFusedMatMul(g, node)];
      case "SimplifiedLayerNormalization": {
        if (node.outputs.slice(1).some((y) => read.has(y))) return undefined;
        const [x, scale] = node.inputs as readonly [Value, Value];
        return [g.mul(g.div(x, rootMeanSquare(g, node)), scale)];
      }
      case "RotaryEmbedding":
        return [expandRotation(g, node)];
      case "LayerNormalization": // its statistics are for the backward pass
        if (node.outputs.slice(1).some((y) => read.has(y))) return undefined;
        return g.emit(node.op, node.inputs, node.attributes);
      default:
        return undefined;
    }
  });
}

/** MatMul over operands that are scaled and transposed in front of it. */
export function expandFusedMatMul(g: Builder, { inputs, attributes, name }: Node): Value {
  const [a, b] = inputs as readonly [Value, Value];
  const attrs = new AttributeReader(attributes, name);
  const alpha = attrs.float("alpha", 1);
  const scaled = alpha === 1 ? a : g.mul(a, g.scalar(alpha, a.type.dtype));
  const oriented = (x: Value, transposed: number): Value => (transposed === 1 ? g.transpose(x, swapLast(x)) : x);
  return g.matmul(oriented(scaled, attrs.int("transA", 0)), oriented(b, attrs.int("transB", 0)));
}

/** √(mean(x²) + epsilon) of a SimplifiedLayerNormalization: its second output is one over it. */
export function rootMeanSquare(g: Builder, { inputs, attributes, name }: Node): Value {
  const x = inputs[0]!;
  const epsilon = g.scalar(new AttributeReader(attributes, name).float("epsilon", 1e-5), x.type.dtype);
  return g.sqrt(g.add(g.reduceMean(g.mul(x, x), [-1], true), epsilon));
}

/** The formula of ops/rotary-embedding.ts, its halves side by side. */
export function expandRotation(g: Builder, { inputs, attributes, name }: Node): Value {
  const [x, positions, cos, sin] = inputs as readonly [Value, Value, Value, Value];
  const attrs = new AttributeReader(attributes, name);
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
