import { expect, test } from "vitest";
import { differentiate } from "../autodiff/backward.js";
import { capturesOf, subgraphsOf } from "../ir/graph.js";
import { createBuilder } from "./index.js";
import { type Call, evaluate, expectGradient, testAgainstTorch } from "./testing.fixtures.js";

const either: Call = (g, [condition, a, b]) =>
  g.if(
    condition!,
    (h) => [h.mul(a!, b!)],
    (h) => [h.exp(a!)],
  );
testAgainstTorch("If", { true: either, false: either });

const condition = (taken: boolean) => ({ shape: [], dtype: "bool", values: [Number(taken)] }) as const;

for (const taken of [true, false]) {
  test(`If (${taken}): a value that only one branch uses, a constant inside, one value returned twice`, () =>
    expectGradient(
      (g, [c, a, b]) =>
        g.if(
          c!,
          (h) => {
            const y = h.mul(h.tanh(a!), h.scalar(3, "float64"));
            return [y, y];
          },
          (h) => [h.mul(b!, b!), a!],
        ),
      [condition(taken), { shape: [2, 3] }, { shape: [2, 3] }],
    ));

  test(`If (${taken}): branches that return different shapes, broadcast afterwards`, () =>
    expectGradient(
      (g, [c, a, b]) => {
        const [y] = g.if(
          c!,
          (h) => [h.mul(a!, a!)],
          (h) => [h.reshape(b!, [1, 1])],
        );
        return [g.mul(g.expand(y!, [2, 3]), a!)];
      },
      [condition(taken), { shape: [2, 3] }, { shape: [1] }],
    ));

  test(`If (${taken}): an initializer inside a branch`, () =>
    expectGradient(
      (g, [c, a]) =>
        g.if(
          c!,
          (h) => {
            const bytes = new Uint8Array(Float64Array.of(2, 3, 4).buffer);
            return [h.mul(a!, h.initializer("row", [3], { kind: "inline", dtype: "float64", bytes }))];
          },
          (h) => [h.neg(a!)],
        ),
      [condition(taken), { shape: [2, 3] }],
    ));
}

test("If: the derivative holds both branches, and in each only what the gradients asked for need", async () => {
  const g = createBuilder();
  const [c, x, w, frozen] = [
    g.input("c", "bool", []),
    g.input("x", "float32", [2, 3]),
    g.input("w", "float32", [3, 3]),
    g.input("f", "float32", [3, 3]),
  ];
  const [y] = g.if(
    c,
    (h) => [h.matmul(x, h.mul(frozen, w))],
    (h) => [h.matmul(x, frozen)],
  );
  const dy = g.input("dy", "float32", [2, 3]);
  const [dw, dx] = differentiate(g, new Map([[y!, dy]]), [w]);
  expect(dx).toBeUndefined();
  const backward = g.graph.nodes.findLast((n) => n.op === "If")!;
  const [then, otherwise] = subgraphsOf(backward);
  // The product itself is computed again by the rule, and dropped as dead before the graph runs.
  expect(then!.nodes.map((n) => n.op)).toEqual(["Mul", "MatMul", "FusedMatMul", "Mul"]);
  expect(otherwise!.nodes.map((n) => n.op)).toEqual(["MatMul", "Expand"]);
  expect(capturesOf(backward).map((v) => v.name)).toContain("dy");
  g.output("dw", dw!);
  const sample = (shape: number[], value: number) =>
    ({ dtype: "float32", shape, values: Array<number>(shape[0]! * shape[1]!).fill(value) }) as const;
  const feeds = { x: sample([2, 3], 1), w: sample([3, 3], 1), f: sample([3, 3], 2), dy: sample([2, 3], 1) };
  const no = await evaluate(g.graph, { ...feeds, c: { dtype: "bool", shape: [], values: [0] } });
  expect(no["dw"]).toEqual(sample([3, 3], 0));
  const yes = await evaluate(g.graph, { ...feeds, c: { dtype: "bool", shape: [], values: [1] } });
  expect(yes["dw"]).toEqual(sample([3, 3], 4));
});

test("If: errors", () => {
  const g = createBuilder();
  const [c, x, row] = [g.input("c", "bool", []), g.input("x", "float32", [2, 3]), g.input("row", "float32", [3])];
  const choose = (a: Parameters<typeof g.if>[1], b: Parameters<typeof g.if>[2]) => g.if(c, a, b);
  expect(() =>
    choose(
      () => [x],
      () => [x, x],
    ),
  ).toThrow("If: the branches return 1 and 2 values.");
  expect(() =>
    choose(
      () => [x],
      (h) => [h.cast(x, "int32")],
    ),
  ).toThrow("the branches return float32 and int32.");
  expect(() =>
    choose(
      () => [x],
      () => [row],
    ),
  ).toThrow("the branches return [2, 3] and [3]; equal ranks are expected.");
  const [nested] = choose(
    (h) =>
      h.if(
        c,
        () => [x],
        (i) => [i.neg(x)],
      ),
    () => [x],
  );
  expect(() => differentiate(g, new Map([[nested!, x]]), [x])).toThrow("an If inside a branch has no derivative.");
});
