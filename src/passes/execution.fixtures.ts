/** How ONNX Runtime runs a graph: a small model of it, and the real thing as it is written. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeModel } from "../ir/codec.js";
import { evaluateDim } from "../ir/dim.js";
import { bytesPerElement } from "../ir/element-type.js";
import { dependenciesOf, type Graph, type Node, type Value } from "../ir/graph.js";

/**
 * Nodes in the order in which ONNX Runtime runs them: back from the nodes that nothing consumes, the last of the file
 * first; at every node the operand whose producer stands last in the file is visited first.
 * @see microsoft/onnxruntime, core/graph/graph.cc `Graph::ReverseDFSFrom`, graph_viewer.cc `NodeCompare`
 */
export function executionOrder({ nodes }: Graph): Node[] {
  const producer = new Map<Value, number>();
  nodes.forEach((node, i) => {
    for (const y of node.outputs) producer.set(y, i);
  });
  const operands = nodes.map((node) =>
    dependenciesOf(node)
      .map((v) => v && producer.get(v))
      .filter((i): i is number => i !== undefined)
      .sort((a, b) => a - b),
  );
  const consumed = new Set(operands.flat());
  const stack = [...nodes.keys()].filter((i) => !consumed.has(i)).map((index) => ({ index, leaving: false }));
  const visited = new Set<number>();
  const order: Node[] = [];
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { index, leaving } = top;
    if (leaving) order.push(nodes[index]!);
    else if (!visited.has(index)) {
      visited.add(index);
      stack.push({ index, leaving: true }, ...operands[index]!.map((i) => ({ index: i, leaving: false })));
    }
  }
  return order;
}

/** Largest sum of the sizes of values that live at once, each from its node to its last use; Reshape takes no memory. */
export function peakBytes(graph: Graph, symbols: Readonly<Record<string, number>>): number {
  const order = executionOrder(graph);
  const buffer = new Map<Value, Value>();
  const bufferOf = (v: Value): Value => buffer.get(v) ?? v;
  const lastUse = new Map<Value, number>();
  order.forEach((node, time) => {
    for (const v of dependenciesOf(node)) if (v) lastUse.set(bufferOf(v), time);
    for (const y of node.outputs) {
      if (node.op === "Reshape") buffer.set(y, bufferOf(node.inputs[0]!));
      lastUse.set(bufferOf(y), time);
    }
  });
  for (const { value } of graph.outputs) lastUse.set(bufferOf(value), order.length);

  const bytes = ({ type }: Value): number =>
    type.shape.reduce<number>((n, d) => n * evaluateDim(d, symbols), bytesPerElement[type.dtype]);
  let [live, peak] = [0, 0];
  order.forEach((node, time) => {
    const owned = node.outputs.filter((y) => bufferOf(y) === y);
    live += owned.reduce((sum, y) => sum + bytes(y), 0);
    peak = Math.max(peak, live);
    const produced = new Set(order.flatMap((n) => n.outputs));
    for (const [v, last] of lastUse) if (last === time && produced.has(v)) live -= bytes(v);
  });
  return peak;
}

export type Feeds = Readonly<
  Record<string, { readonly shape: readonly number[]; readonly data: Float32Array | Uint8Array }>
>;

/** Runs a graph as it is written, without any pass. `order` names its nodes as ONNX Runtime's own profile lists them. */
export async function runAsWritten(
  graph: Graph,
  feeds: Feeds,
): Promise<{ outputs: Record<string, Float32Array>; order: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), "glora-profile-"));
  try {
    const session = await InferenceSession.create(encodeModel(graph), {
      graphOptimizationLevel: "disabled",
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: join(folder, "run"),
    });
    const given = Object.entries(feeds).map(([name, { shape, data }]) => {
      const tensor = data instanceof Uint8Array ? new Tensor("bool", data, shape) : new Tensor("float32", data, shape);
      return [name, tensor] as const;
    });
    const found = await session.run(Object.fromEntries(given));
    session.endProfiling();
    await session.release();
    const events: { cat: string; name: string }[] = JSON.parse(
      readFileSync(join(folder, readdirSync(folder)[0]!), "utf8"),
    );
    const suffix = "_kernel_time";
    return {
      outputs: Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, data as Float32Array])),
      order: events
        .filter((e) => e.cat === "Node" && e.name.endsWith(suffix))
        .map((e) => e.name.slice(0, -suffix.length)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
