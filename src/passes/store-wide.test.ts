import { expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import type { TensorData } from "../ir/graph.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { storeWide } from "./store-wide.js";

/** 1.5 and −2 */
const stored = { float16: [0x3e00, 0xc000], bfloat16: [0x3fc0, 0xc000] } as const;

test.each(["float16", "bfloat16"] as const)("a weight of %s, in the graph and in a file, is float32", async (dtype) => {
  const bytes = new Uint8Array(Uint16Array.from([0xffff, ...stored[dtype]]).buffer); // two bytes of something else in front
  const source = {
    name: "file",
    path: "/file",
    read: async (from: number, count: number) => bytes.slice(from, from + count),
  };
  const g = createBuilder();
  const data: TensorData = { kind: "external", dtype, source, offset: 2, length: 4 };
  const outside = g.initializer("outside", [2], data, "float32");
  const inside = g.initializer("inside", [2], { kind: "inline", dtype, bytes: bytes.slice(2) }, "float32");
  const [y] = g.if(
    g.input("c", "bool", []),
    (h) => [h.mul(outside, inside)],
    () => [inside],
  );
  g.output("y", y!);
  g.output("weight", outside);
  const wide = storeWide(g.graph);
  checkGraph(wide, inferWith(ops), "storeWide");
  const values = wide.initializers.map(({ data }) => data!);
  expect(values.map((v) => v.dtype)).toEqual(["float32", "float32"]);
  for (const v of values) {
    const read = v.kind === "inline" ? v.bytes : await v.source.read(v.offset, v.length);
    expect([...new Float32Array(read.slice().buffer)]).toEqual([1.5, -2]);
    // It can be mapped from no file.
    expect(v.kind === "external" && v.source.path).toBeFalsy();
  }
  expect(g.graph.find("outside")!.data).toBe(data);
});

test("a graph of float32 weights is left alone", () => {
  const g = createBuilder();
  g.output("y", g.mul(g.input("x", "float32", []), g.scalar(2)));
  expect(storeWide(g.graph)).toBe(g.graph);
});
