/**
 * Reverse-mode differentiation, graph to graph: appends to a graph the nodes that compute gradients of its values.
 * The rule of each operator stands in its own file (src/ops); this walk knows none of them.
 */
import type { Builder } from "../ir/builder.js";
import { AttributeReader, dependenciesOf, type TensorData, type Value } from "../ir/graph.js";
import { ops } from "../ops/index.js";
import type { Differentiate } from "../ops/op.js";
import { gradientSeed } from "../passes/order.js";

/**
 * Gradients of `seeds` with respect to `wrt`: seeds maps a value y to ∂L/∂y, the result holds ∂L/∂v for each v of `wrt`,
 * undefined where no path leads from v to a seed.
 *
 * Nodes are appended for paths from `wrt` to the seeds alone: nothing below the first value of `wrt`, and nothing for
 * operands that depend on none of them.
 */
export const differentiate: Differentiate = (g, seeds, wrt) => {
  const nodes = g.graph.nodes.map((node) => ({
    node,
    inputs: dependenciesOf(node).filter((v): v is Value => v !== undefined),
  }));
  // Forward: what depends on the values asked for. Integers and bools do not vary smoothly, so nothing passes them.
  const active = new Set<Value>(wrt);
  for (const { node, inputs } of nodes)
    if (inputs.some((v) => active.has(v)))
      for (const y of node.outputs) if (y.type.dtype.includes("float")) active.add(y);

  // Backward: the gradient of a value is complete when the walk reaches the node that computed it.
  const gradients = new Map<Value, Value>(seeds);
  for (const { node, inputs } of nodes.reverse()) {
    const grads = node.outputs.map((y) => (active.has(y) ? gradients.get(y) : undefined));
    const needs = inputs.map((v) => active.has(v));
    if (!needs.includes(true) || grads.every((dy) => dy === undefined)) continue;
    const { vjp } = ops.get(node.op)!;
    if (typeof vjp !== "function")
      throw new Error(`${node.name}: no gradient flows through ${node.op}: ${vjp.noGradient}.`);
    const { name, outputs, attributes } = node;
    const attrs = new AttributeReader(attributes, name);
    const context = { inputs, outputs, attrs, attributes, needs, differentiate, name };
    const found = g.scope(`grad(${name})`, () => vjp(g, context, grads));
    inputs.forEach((v, i) => {
      const dv = found[i];
      if (dv === undefined || !needs[i]) return;
      const sum = gradients.get(v);
      gradients.set(v, sum ? g.add(sum, dv) : dv);
    });
  }
  return wrt.map((v) => gradients.get(v));
};

/** Gradients of a scalar with respect to values of the graph; zeros where the scalar does not depend on a value. */
export function gradientsOf(g: Builder, scalar: Value, wrt: readonly Value[]): Value[] {
  if (scalar.type.shape.length !== 0) throw new Error(`${scalar.name}: only a scalar has a gradient.`);
  const one: TensorData = { kind: "inline", dtype: "float32", bytes: new Uint8Array(Float32Array.of(1).buffer) };
  const seed = g.initializer(gradientSeed, [], one);
  return differentiate(g, new Map([[scalar, seed]]), wrt).map(
    (dv, i) => dv ?? g.zeros(wrt[i]!.type.shape, wrt[i]!.type.dtype),
  );
}
