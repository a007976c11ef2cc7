import { expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import { capturesOf, type Graph, subgraphsOf } from "../ir/graph.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { rebuild } from "./rebuild.js";

/** y = taken ? exp(x)·2 : exp(x); z = exp(x) */
function sample(): Graph {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n"]);
  const e = g.exp(x);
  const [y] = g.if(
    g.input("taken", "bool", []),
    (b) => [b.mul(e, b.scalar(2))],
    () => [e],
  );
  g.output("y", y!);
  g.output("z", e);
  return g.graph;
}

const opsOf = (graph: Graph): string[] => graph.nodes.flatMap((node) => [node.op, ...subgraphsOf(node).flatMap(opsOf)]);

test("a graph that nothing is replaced in is copied, with the same values", () => {
  const graph = sample();
  const copy = rebuild(graph, () => undefined);
  expect(copy).toEqual(graph);
  expect(copy.outputs.map(({ value }) => value)).toEqual(graph.outputs.map(({ value }) => value));
  expect(copy.nodes).not.toBe(graph.nodes);
});

test("what replaces a node takes its place everywhere: later nodes, branches, outputs", () => {
  const graph = sample();
  const copy = rebuild(graph, (g, node) => (node.op === "Exp" ? [g.tanh(g.neg(node.inputs[0]!))] : undefined));
  checkGraph(copy, inferWith(ops), "rebuild");
  expect(opsOf(copy)).toEqual(["Neg", "Tanh", "If", "Mul", "Identity"]);
  const tanh = copy.nodes[1]!.outputs[0]!;
  expect(capturesOf(copy.nodes[2]!)[0]).toBe(tanh);
  expect(copy.outputs[1]).toEqual({ name: "z", value: tanh });
  expect(opsOf(graph)).toEqual(["Exp", "If", "Mul", "Identity"]);
});

test("a node inside a branch is replaced inside it, under names that are free", () => {
  const graph = sample();
  const copy = rebuild(graph, (g, node) => (node.op === "Mul" ? [g.exp(node.inputs[0]!)] : undefined));
  checkGraph(copy, inferWith(ops), "rebuild");
  expect(opsOf(copy)).toEqual(["Exp", "If", "Exp", "Identity"]);
});

test("a replacement may itself be replaced: it sees operands of the new graph", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n"]);
  g.output("y", g.exp(g.exp(x)));
  const copy = rebuild(g.graph, (h, node) => (node.op === "Exp" ? [h.neg(node.inputs[0]!)] : undefined));
  checkGraph(copy, inferWith(ops), "rebuild");
  expect(opsOf(copy)).toEqual(["Neg", "Neg"]);
});

test("a node may be replaced by one of its operands", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n"]);
  const [y] = g.if(
    g.input("taken", "bool", []),
    (b) => [b.neg(b.neg(x))],
    (b) => [b.exp(x)],
  );
  g.output("y", y!);
  const copy = rebuild(g.graph, (_, node) => (node.op === "Neg" ? node.inputs.map((v) => v!) : undefined));
  checkGraph(copy, inferWith(ops), "rebuild");
  expect(opsOf(copy)).toEqual(["If", "Identity", "Exp"]);
});
