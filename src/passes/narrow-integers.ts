/**
 * Integers of 64 bits become integers of 32, an input's too, which the session then narrows: for WebGPU, which has no
 * arithmetic of 64 bits. Token ids, positions and masks fit; shapes, axes and bounds, which kernels read on the CPU, stay.
 */

import type { Builder } from "../ir/builder.js";
import { AttributeReader, Graph, type Value } from "../ir/graph.js";
import { createBuilder } from "../ops/index.js";
import { rebuild } from "./rebuild.js";

/** Operands that are shapes, axes or bounds: those behind the first. */
const measured = new Set([
  "CumSum",
  "Expand",
  "Pad",
  "ReduceMax",
  "ReduceMean",
  "ReduceSum",
  "Reshape",
  "Slice",
  "Split",
]);

const isWide = (value: Value | undefined): value is Value => value?.type.dtype === "int64";

export function narrowIntegers(graph: Graph): Graph {
  const results = new Set(graph.outputs.map(({ value }) => value));
  const inputs = new Map<Value, Value>();
  for (const input of graph.inputs)
    if (isWide(input) && !input.type.contents && !results.has(input))
      inputs.set(input, { ...input, type: { ...input.type, dtype: "int32" } });

  const copied = rebuild(graph, (g, node) => {
    const operands = node.inputs.map((v, i) => {
      if (!isWide(v) || (i > 0 && measured.has(node.op))) return v;
      return inputs.get(v) ?? (v.data ? narrowConstant(g, v) : v);
    });
    const attrs = new AttributeReader(node.attributes, node.name);
    if (node.op === "Cast" && attrs.string("to") === "int64") return [g.cast(operands[0]!, "int32")];
    const same = operands.every((v, i) => v === node.inputs[i]);
    if (same && !node.outputs.some(isWide)) return undefined;
    return g.emit(node.op, operands, node.attributes, { domain: node.domain, outputs: node.outputs.length });
  });

  const result = new Graph();
  result.inputs.push(...copied.inputs.map((input) => inputs.get(input) ?? input));
  result.initializers.push(...copied.initializers);
  result.nodes.push(...copied.nodes);
  const g = createBuilder(result);
  copied.outputs.forEach(({ name, value }, i) => {
    const wide = isWide(graph.outputs[i]!.value) && !isWide(value);
    g.output(name, wide ? g.cast(value, "int64") : value);
  });
  return result;
}

function narrowConstant(g: Builder, { data, type }: Value): Value {
  if (data?.kind !== "inline") throw new Error("Integers come from no file.");
  const values = Array.from(new BigInt64Array(new Uint8Array(data.bytes).buffer), Number);
  return g.constant("int32", type.shape, values);
}
