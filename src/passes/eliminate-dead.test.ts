import { expect, test } from "vitest";
import { AttributeReader, type Graph, subgraphsOf } from "../ir/graph.js";
import { createBuilder } from "../ops/index.js";
import { eliminateDead } from "./eliminate-dead.js";

const opsOf = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);

test("nodes and initializers that no output needs are dropped, inputs and the order of the rest stay", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n"]);
  const unused = g.input("unused", "float32", ["n"]);
  const dead = g.exp(g.mul(unused, g.scalar(3)));
  const y = g.tanh(g.mul(x, g.scalar(2)));
  g.add(dead, y);
  g.output("y", y);
  const lean = eliminateDead(g.graph);
  expect(opsOf(lean)).toEqual(["Mul", "Tanh"]);
  expect(lean.inputs).toEqual(g.graph.inputs);
  expect(lean.outputs).toEqual(g.graph.outputs);
  expect(lean.initializers).toEqual([lean.nodes[0]!.inputs[1]]);
  expect(g.graph.nodes).toHaveLength(5); // the graph that was given is as it was
});

test("a node with one output in use stays whole", () => {
  const g = createBuilder();
  const [first] = g.split(g.input("x", "float32", [4]), [1, 3], 0);
  g.output("y", first!);
  expect(eliminateDead(g.graph).nodes[0]!.outputs).toHaveLength(2);
});

test("inside branches: dead nodes go, and with them what only they captured", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["n"]);
  const needed = g.exp(x);
  const wasted = g.tanh(x);
  const [y] = g.if(
    g.input("taken", "bool", []),
    (b) => {
      b.mul(wasted, wasted);
      return [b.add(needed, b.scalar(1))];
    },
    (b) => [b.neg(x)],
  );
  g.output("y", y!);
  const lean = eliminateDead(g.graph);
  expect(opsOf(lean)).toEqual(["Exp", "If"]);
  expect(subgraphsOf(lean.nodes[1]!).map(opsOf)).toEqual([["Add"], ["Neg"]]);
  expect(lean.initializers).toHaveLength(1);
  const original = g.graph.nodes.find(({ op }) => op === "If")!;
  expect(opsOf(new AttributeReader(original.attributes, "If").graph("then_branch"))).toEqual(["Mul", "Add"]);
});
