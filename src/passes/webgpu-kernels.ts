/**
 * What ONNX Runtime's WebGPU has no kernel for, or one that is wrong or not exact enough, in operators that it does well.
 * Found by running every operator's conformance suite there with the fallback to the CPU forbidden (version 1.30).
 */
import type { Builder } from "../ir/builder.js";
import { addDims, type Shape } from "../ir/dim.js";
import { AttributeReader, type Graph, type Node, type Value } from "../ir/graph.js";
import { expandFusedMatMul, expandRotation, rootMeanSquare } from "./expand-fused.js";
import { rebuild } from "./rebuild.js";

export const webgpuKernels = (graph: Graph): Graph =>
  rebuild(graph, (g, node) => {
    const [x, y] = node.inputs as readonly [Value, Value];
    switch (node.op) {
      case "FusedMatMul":
        return [productOf(g, node)];
      case "LogSoftmax":
        return [logSoftmax(g, x, new AttributeReader(node.attributes, node.name).int("axis", -1))];
      case "Or": {
        const one = (b: Value): Value => g.cast(b, "int32");
        return [g.greater(g.add(one(x), one(y)), g.constant("int32", [], [0]))];
      }
      // It takes positions of 64 bits alone; see narrow-integers.ts.
      case "RotaryEmbedding":
        return [expandRotation(g, node)];
      case "Split": {
        const lengths = y.type.contents!;
        if (lengths.length <= MOST_OUTPUTS) return undefined;
        return splitInGroups(g, x, lengths, new AttributeReader(node.attributes, node.name).int("axis", 0));
      }
      case "SimplifiedLayerNormalization": {
        // The kernel leaves its second output, 1/√(mean(x²) + epsilon), as it finds it.
        if (node.outputs.length < 2) return undefined;
        const inverse = g.div(g.scalar(1, x.type.dtype), rootMeanSquare(g, node));
        return [g.mul(g.mul(x, inverse), y), inverse];
      }
      // WGSL promises 2⁻¹¹ within ±π and nothing beyond; angles of a rotary embedding go to 10⁵.
      case "Cos":
        return [circular(g, x).cos];
      case "Sin":
        return [circular(g, x).sin];
      default:
        return undefined;
    }
  });

/** A shader reads and writes 8 buffers on every adapter; a split reads one. */
const MOST_OUTPUTS = 7;

/** Parts of parts, so that no split has more outputs than a shader can write. */
function splitInGroups(g: Builder, x: Value, lengths: Shape, axis: number): Value[] {
  if (lengths.length <= MOST_OUTPUTS) return g.split(x, lengths, axis);
  const size = Math.ceil(lengths.length / MOST_OUTPUTS);
  const groups = Array.from({ length: Math.ceil(lengths.length / size) }, (_, i) =>
    lengths.slice(i * size, (i + 1) * size),
  );
  const sums = groups.map((group) => group.reduce(addDims));
  return g.split(x, sums, axis).flatMap((part, i) => splitInGroups(g, part, groups[i]!, axis));
}

/** Of matrices, one Gemm: it reads an operand transposed, where MatMul needs a transposed copy. */
function productOf(g: Builder, node: Node): Value {
  const [a, b] = node.inputs as readonly [Value, Value];
  if (a.type.shape.length !== 2 || b.type.shape.length !== 2) return expandFusedMatMul(g, node);
  const attrs = new AttributeReader(node.attributes, node.name);
  const alpha = attrs.float("alpha", 1);
  const product = g.gemm(a, b, undefined, {
    transA: attrs.int("transA", 0) === 1,
    transB: attrs.int("transB", 0) === 1,
  });
  return alpha === 1 ? product : g.mul(product, g.scalar(alpha, product.type.dtype));
}

/** (x − max) − ln Σ exp(x − max): no sum of powers overflows, and none of them is 0. */
function logSoftmax(g: Builder, x: Value, axis: number): Value {
  const from = axis < 0 ? axis + x.type.shape.length : axis;
  const largest = g.reduceMax(x, [from]);
  const kept = x.type.shape.map((d, i) => (i === from ? 1 : d));
  const shifted = g.sub(x, g.reshape(largest, kept));
  return g.sub(shifted, g.log(g.reduceSum(g.exp(shifted), [from], true)));
}

/** 2π in two parts: the products of the first with whole numbers up to 2¹⁶ are exact in float32. */
const TURN = [6.28125, 2 * Math.PI - 6.28125] as const;

/**
 * Sine and cosine to about 5e-7: x is brought within ±2π, a quarter of it goes through the series of Taylor (whose next terms
 * are below 1e-8 within ±π/2), and sin 2t = 2 sin t cos t, cos 2t = 1 − 2 sin² t lead back, twice.
 */
function circular(g: Builder, x: Value): { sin: Value; cos: Value } {
  const times = (v: Value, factor: number): Value => g.mul(v, g.scalar(factor));
  const turns = g.cast(g.cast(times(x, 1 / (2 * Math.PI)), "int32"), "float32"); // towards 0
  const within = g.sub(g.sub(x, times(turns, TURN[0])), times(turns, TURN[1]));
  const t = times(within, 0.25);
  const square = g.mul(t, t);
  // Σ (−1)ᵏ t²ᵏ / (2k + odd)!, from the inside out
  const series = (odd: 0 | 1): Value => {
    let sum = g.scalar(1);
    for (let k = 6; k > 0; k--)
      sum = g.sub(g.scalar(1), times(g.mul(square, sum), 1 / ((2 * k + odd) * (2 * k + odd - 1))));
    return sum;
  };
  const twice = ({ sin, cos }: { sin: Value; cos: Value }) => ({
    sin: times(g.mul(sin, cos), 2),
    cos: g.sub(g.scalar(1), times(g.mul(sin, sin), 2)),
  });
  return twice(twice({ sin: g.mul(t, series(1)), cos: series(0) }));
}
