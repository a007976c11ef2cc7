import { expect, test } from "vitest";
import { differentiate } from "../autodiff/backward.js";
import { float, int } from "../ir/graph.js";
import { createBuilder } from "./index.js";
import { expectGradient, testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("SimplifiedLayerNormalization", { "": (g, [x, scale]) => [g.rmsNorm(x!, scale!, 1e-2)] });

test("SimplifiedLayerNormalization: a node that gives only y has the same gradient", () =>
  expectGradient(
    (g, [x, scale]) => g.emit("SimplifiedLayerNormalization", [x, scale], { axis: int(-1), epsilon: float(1e-5) }),
    [{ shape: [2, 4] }, { shape: [4] }],
    { dtype: "float32" },
  ));

test("SimplifiedLayerNormalization: errors", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [2, 3, 4]);
  const [three, four] = [g.input("three", "float32", [3]), g.input("four", "float32", [4])];
  expect(() => g.rmsNorm(x, three, 1e-6)).toThrow("SimplifiedLayerNormalization: a scale [4] expected, found [3].");
  expect(() => g.emit("SimplifiedLayerNormalization", [x, three], { axis: int(1) })).toThrow(
    "only the last axis can be normalised, found axis 1.",
  );
  const [, inv] = g.emit("SimplifiedLayerNormalization", [x, four], { axis: int(-1) }, { outputs: 2 });
  const seed = g.input("d", "float32", [2, 3, 1]);
  expect(() => differentiate(g, new Map([[inv!, seed]]), [x])).toThrow("the output inv has no derivative.");
});
