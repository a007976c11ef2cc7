import { expect, test } from "vitest";
import { int } from "../ir/graph.js";
import { createBuilder } from "./index.js";

test("Shape: a known dimension is known before the graph runs", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 6, "tokens"]);
  expect(g.emit("Shape", [x])[0]!.type).toEqual({ dtype: "int64", shape: [3], contents: ["batch", 6, "tokens"] });
  expect(g.emit("Shape", [x], { start: int(-2), end: int(2) })[0]!.type.contents).toEqual([6]);
});
