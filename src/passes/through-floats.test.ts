import { expect, test } from "vitest";
import { checkGraph } from "../ir/checker.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { runAsWritten } from "./execution.fixtures.js";
import { throughFloats } from "./through-floats.js";

test("bools and integers come out as they would without the way through floats", async () => {
  const g = createBuilder();
  const b = g.input("b", "bool", [2, 2]);
  const n = g.cast(g.input("n", "float32", [4]), "int32");
  const [first, second] = g.split(b, [1, 1], 0);
  g.output("bools", g.concat([g.transpose(b, [1, 0]), second!, first!], 0));
  g.output("integers", g.slice(g.neg(n), 0, 1, 3));
  g.output("floats", g.slice(g.input("x", "float32", [3]), 0, 0, 2));
  const result = throughFloats(g.graph);
  checkGraph(result, inferWith(ops), "throughFloats");
  for (const { op, inputs } of result.nodes) if (op !== "Cast") expect(inputs[0]!.type.dtype, op).toBe("float32");
  const feeds = {
    b: { shape: [2, 2], data: Uint8Array.of(1, 0, 0, 0) },
    n: { shape: [4], data: Float32Array.of(1, -(2 ** 24), 5, 7) },
    x: { shape: [3], data: Float32Array.of(1, 2, 3) },
  };
  const { outputs } = await runAsWritten(result, feeds);
  expect(outputs).toEqual((await runAsWritten(g.graph, feeds)).outputs);
  expect([...outputs["integers"]!]).toEqual([2 ** 24, -5]);
});
