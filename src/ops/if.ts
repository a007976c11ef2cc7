import type { Builder } from "../ir/builder.js";
import { type Dim, formatShape, type Shape } from "../ir/dim.js";
import { type Graph, subgraphsOf, type Value } from "../ir/graph.js";
import { sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/** Where two branches return different dimensions, the result's is known only when the graph runs. */
function mergeShapes(a: Shape, b: Shape, name: string): Shape {
  if (a.length !== b.length)
    throw new Error(`${name}: the branches return ${formatShape(a)} and ${formatShape(b)}; equal ranks are expected.`);
  return a.map((d, i): Dim => (d === b[i] ? d : `${name}?${i}`));
}

/** Copies the nodes of a branch into `g`, and gives the copies of what the branch returns. */
function replay(g: Builder, branch: Graph): Value[] {
  const copies = new Map<Value, Value>(
    branch.initializers.map((v) => [v, g.initializer(v.name, v.type.shape, v.data!, v.type.dtype)]),
  );
  const copy = (value: Value): Value => copies.get(value) ?? value;
  for (const node of branch.nodes) {
    if (subgraphsOf(node).length > 0) throw new Error(`${node.name}: an If inside a branch has no derivative.`);
    const inputs = node.inputs.map((v) => v && copy(v));
    const outputs = g.emit(node.op, inputs, node.attributes, { domain: node.domain, outputs: node.outputs.length });
    outputs.forEach((value, i) => {
      copies.set(node.outputs[i]!, value);
    });
  }
  return branch.outputs.map((o) => copy(o.value));
}

/** Runs one of two branches. Spec: https://onnx.ai/onnx/operators/onnx__If.html (opset 21). */
export const ifOp = defineOp({
  type: "If",
  infer({ attrs, name }) {
    const [then, otherwise] = [attrs.graph("then_branch"), attrs.graph("else_branch")];
    if (then.outputs.length !== otherwise.outputs.length)
      throw new Error(`${name}: the branches return ${then.outputs.length} and ${otherwise.outputs.length} values.`);
    return then.outputs.map(({ value }, i) => {
      const other = otherwise.outputs[i]!.value.type;
      if (other.dtype !== value.type.dtype)
        throw new Error(`${name}: the branches return ${value.type.dtype} and ${other.dtype}.`);
      return { dtype: value.type.dtype, shape: mergeShapes(value.type.shape, other.shape, name) };
    });
  },
  // Each branch's derivative stands in the same branch of a second If. What the forward branch computed is not visible
  // there and is computed again; a value that a branch does not use gets a zero of one element, broadcast afterwards.
  vjp(g, { inputs: [condition, ...captured], attrs, needs, differentiate }, grads) {
    const wanted = captured.filter((_, i) => needs[i + 1]);
    const branch =
      (name: string) =>
      (inner: Builder): Value[] => {
        const outputs = replay(inner, attrs.graph(name));
        const seeds = new Map<Value, Value>();
        outputs.forEach((y, i) => {
          if (!grads[i]) return;
          // A branch that returned less than the other one was broadcast.
          const dy = sumTo(inner, grads[i], y.type.shape);
          seeds.set(y, seeds.has(y) ? inner.add(seeds.get(y)!, dy) : dy);
        });
        const found = differentiate(inner, seeds, wanted);
        const zero = ({ type }: Value): Value => inner.zeros(Array<number>(type.shape.length).fill(1), type.dtype);
        return wanted.map((v, i) => found[i] ?? zero(v));
      };
    const gradients = g.if(condition!, branch("then_branch"), branch("else_branch"));
    const full = new Map(wanted.map((v, i) => [v, g.expand(gradients[i]!, v.type.shape)]));
    return [undefined, ...captured.map((v) => full.get(v))];
  },
});
