import { expect, test } from "vitest";
import { GloraError } from "../base/errors.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { checkGraph } from "./checker.js";
import { type Graph, int, type Node, subgraphsOf, type Value } from "./graph.js";

const infer = inferWith(ops);
const check = (graph: Graph): void => checkGraph(graph, infer, "fuse");

/** y = (taken ? x + w : x) · w, a graph with a branch that captures. */
function sound(): Graph {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 2]);
  const taken = g.input("taken", "bool", []);
  const bytes = new Uint8Array(Float32Array.of(1, 2).buffer);
  const w = g.initializer("w", [2], { kind: "inline", dtype: "float32", bytes });
  const [chosen] = g.if(
    taken,
    (b) => [b.add(x, w)],
    (b) => [b.mul(x, w)],
  );
  g.output("y", g.mul(chosen!, w));
  return g.graph;
}

/** The graph with its nodes changed. */
function withNodes(graph: Graph, change: (nodes: Node[]) => readonly Node[]): Graph {
  const nodes = change([...graph.nodes]);
  graph.nodes.splice(0, graph.nodes.length, ...nodes);
  return graph;
}
const [ifNode, mulNode] = [0, 1];

test("a sound graph passes", () => {
  expect(() => check(sound())).not.toThrow();
});

test.each<[string, () => Graph, string]>([
  ["order", () => withNodes(sound(), (n) => n.reverse()), 'Mul_1 after fuse: "If:y" is used before it is defined.'],
  [
    "a captured value that is gone",
    () => {
      const graph = sound();
      graph.initializers.splice(0, 1);
      return graph;
    },
    'Add after fuse: "w" is used before it is defined.',
  ],
  [
    "a node's type",
    () =>
      withNodes(sound(), (nodes) => {
        const node = nodes[mulNode]!;
        const wrong: Value = { ...node.outputs[0]!, type: { dtype: "float32", shape: [3, 2] } };
        return [nodes[ifNode]!, { ...node, outputs: [wrong] }];
      }),
    'Mul_1 after fuse: "Mul_1:y" is float32[3, 2], but Mul gives float32[batch, 2].',
  ],
  [
    "an operator without a rule",
    () =>
      withNodes(sound(), (nodes) => {
        const node = nodes[mulNode]!;
        return [nodes[ifNode]!, { ...node, op: "Nonsense" }];
      }),
    "Mul_1 after fuse: the operator Nonsense is not known; add it to src/ops/index.ts.",
  ],
  [
    "too many outputs",
    () =>
      withNodes(sound(), (nodes) => {
        const node = nodes[mulNode]!;
        return [nodes[ifNode]!, { ...node, outputs: [node.outputs[0]!, { ...node.outputs[0]!, name: "more" }] }];
      }),
    "Mul_1 after fuse: Mul gives 1 outputs; the node has 2.",
  ],
  [
    "an output that nothing computes",
    () => withNodes(sound(), (nodes) => nodes.slice(0, mulNode)),
    'graph after fuse: nothing computes "Mul_1:y", the output "y".',
  ],
  [
    "outputs of one name",
    () => {
      const graph = sound();
      graph.outputs.push(graph.outputs[0]!);
      return graph;
    },
    'graph after fuse: two outputs are named "y".',
  ],
  [
    "values of one name",
    () => {
      const graph = sound();
      graph.inputs.push({ name: "w", type: { dtype: "float32", shape: [] } });
      return graph;
    },
    'graph after fuse: two values are named "w".',
  ],
  [
    "nodes of one name",
    () => withNodes(sound(), (nodes) => [nodes[ifNode]!, { ...nodes[mulNode]!, name: "If" }]),
    "If after fuse: two nodes have this name.",
  ],
  [
    "a branch with inputs",
    () => {
      const graph = sound();
      const branch = subgraphsOf(graph.nodes[ifNode]!)[0]!;
      branch.inputs.push({ name: "z", type: { dtype: "float32", shape: [] } });
      return graph;
    },
    "If after fuse: a branch has inputs; it can only capture.",
  ],
  [
    "an initializer that is too short",
    () => {
      const graph = sound();
      const w = graph.initializers[0]!;
      graph.initializers[0] = { ...w, data: { kind: "inline", dtype: "float32", bytes: new Uint8Array(7) } };
      return graph;
    },
    "w after fuse: float32[2] takes 8 bytes; its data has 7.",
  ],
  [
    "an initializer without data",
    () => {
      const graph = sound();
      graph.initializers[0] = { name: "w", type: graph.initializers[0]!.type };
      return graph;
    },
    "w after fuse: an initializer without data.",
  ],
])("%s: the node and the pass at fault are named", (_what, broken, text) => {
  expect(() => check(broken())).toThrow(GloraError);
  expect(() => check(broken())).toThrow(text);
});

test("the checker finds a wrong attribute by the rule", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 2]);
  g.output("y", g.matmul(x, x, { transA: true }));
  const graph = withNodes(g.graph, ([node]) => [{ ...node!, attributes: { transB: int(1) } }]);
  expect(() => checkGraph(graph, infer)).toThrow('"FusedMatMul:y" is float32[2, 2], but FusedMatMul gives');
});
