import { expect, test } from "vitest";
import { differentiate } from "../autodiff/backward.js";
import { float, int } from "../ir/graph.js";
import { createBuilder } from "./index.js";
import { expectGradient, testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("LayerNormalization", {
  bias: (g, [x, scale, bias]) => [g.layerNorm(x!, scale!, bias!, 1e-6)],
  "no bias": (g, [x, scale]) => [g.layerNorm(x!, scale!, undefined, 1e-2)],
});

test("LayerNormalization: a node that gives only y has the same gradient", () =>
  expectGradient(
    (g, [x, scale, bias]) => g.emit("LayerNormalization", [x, scale, bias], { axis: int(-1), epsilon: float(1e-5) }),
    [{ shape: [2, 4] }, { shape: [4] }, { shape: [4] }],
    { dtype: "float32" },
  ));

test("LayerNormalization: a gradient for the bias alone is one sum", () => {
  const g = createBuilder();
  const [x, scale, bias] = [
    g.input("x", "float32", [2, 3, 4]),
    g.input("s", "float32", [4]),
    g.input("b", "float32", [4]),
  ];
  const y = g.layerNorm(x, scale, bias, 1e-6);
  const before = g.graph.nodes.length;
  differentiate(g, new Map([[y, g.input("dy", "float32", [2, 3, 4])]]), [bias]);
  expect(g.graph.nodes.slice(before).map((n) => n.op)).toEqual(["Expand", "Reshape", "MatMul", "Reshape"]);
});

test("LayerNormalization: errors", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [2, 3, 4]);
  const [three, four] = [g.input("three", "float32", [3]), g.input("four", "float32", [4])];
  expect(() => g.layerNorm(x, three, undefined, 1e-6)).toThrow(
    "LayerNormalization: scale and bias [4] expected, found [3].",
  );
  expect(() => g.layerNorm(x, four, three, 1e-6)).toThrow("scale and bias [4] expected, found [3].");
  expect(() => g.emit("LayerNormalization", [x, three], { axis: int(1) })).toThrow(
    "only the last axis can be normalised, found axis 1.",
  );
  const [, mean] = g.emit("LayerNormalization", [x, four], { axis: int(-1) }, { outputs: 3 });
  const seed = g.input("dm", "float32", [2, 3, 1]);
  expect(() => differentiate(g, new Map([[mean!, seed]]), [x])).toThrow(
    "the outputs Mean and InvStdDev have no derivative.",
  );
});
