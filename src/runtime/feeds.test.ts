import { expect, test } from "vitest";
import type { Tensor } from "../base/tensor.js";
import type { Graph } from "../ir/graph.js";
import { createBuilder } from "../ops/index.js";
import { checkFeeds, checkOutputs, deviceFeeds, refuseEmpty } from "./feeds.js";

const g = createBuilder();
g.output("y", g.input("x", "float32", ["batch", 3]));
g.input("labels", "int32", ["batch"]);
g.input("pairs", "int32", ["2*batch"]);

const float32 = (...shape: number[]): Tensor => ({ dtype: "float32", shape, data: new Float32Array(6) });
const int32 = (n: number): Tensor => ({ dtype: "int32", shape: [n], data: new Int32Array(n) });
const sound = { x: float32(2, 3), labels: int32(2), pairs: int32(4) };

test("what fits passes", () => {
  expect(() => checkFeeds(g.graph, sound, "step")).not.toThrow();
  expect(() => checkOutputs(g.graph, ["y"], "step")).not.toThrow();
});

test.each<[string, Record<string, Tensor>, string]>([
  ["unknown", { z: int32(1) }, 'step: there is no input "z"; the inputs are "x", "labels", "pairs".'],
  ["missing", {}, 'step: input "x" must be float32[batch, 3]; it was not given.'],
  ["type", { ...sound, labels: float32(6) }, 'input "labels" must be int32[batch]; float32[6] was given.'],
  ["rank", { ...sound, x: float32(6) }, 'input "x" must be float32[batch, 3]; float32[6] was given.'],
  ["number", { ...sound, x: float32(3, 2) }, 'input "x" must be float32[batch, 3]; float32[3, 2] was given.'],
  ["elements", { ...sound, x: float32(4, 3) }, "float32[4, 3] was given with 6 elements."],
  [
    "symbol",
    { ...sound, labels: int32(3) },
    'input "labels" must be int32[batch]; int32[3] was given, where batch is 2.',
  ],
  ["compound", { ...sound, pairs: int32(5) }, "int32[5] was given, where 2*batch is 4."],
])("%s: the session and the input are named", (_what, feeds, text) => {
  expect(() => checkFeeds(g.graph, feeds, "step")).toThrow(text);
});

test("an unknown output is refused", () => {
  expect(() => checkOutputs(g.graph, ["z"], "step")).toThrow('step: there is no output "z"; the outputs are "y".');
});

test("a device is fed narrow integers and the shapes that its graph asks for", () => {
  const ids: Tensor = { dtype: "int64", shape: [2], data: BigInt64Array.of(7n, -1n) };
  const lowered: Pick<Graph, "inputs"> = {
    inputs: [
      { name: "ids", type: { dtype: "int32", shape: ["n"] } },
      { name: "x", type: { dtype: "float32", shape: ["n", 3] } },
      { name: "shape", type: { dtype: "int64", shape: [2], contents: ["2*n", 3] } },
    ],
  };
  const x = float32(2, 3);
  expect(deviceFeeds(lowered, { ids, x }, { n: 2 })).toEqual({
    ids: { dtype: "int32", shape: [2], data: Int32Array.of(7, -1) },
    x,
    shape: { dtype: "int64", shape: [2], data: BigInt64Array.of(4n, 3n) },
  });
});

test("empty tensors are named", () => {
  expect(() => refuseEmpty(sound, "step")).not.toThrow();
  expect(() => refuseEmpty({ ...sound, labels: int32(0) }, "step")).toThrow('step: input "labels" is empty ([0])');
});
