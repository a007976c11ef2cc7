import type { Builder } from "../ir/builder.js";
import type { Dim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";

/** 0, 1, 2 … as int64 [length]. */
export function counted(g: Builder, length: Dim): Value {
  const one = g.constant("int64", [1], [1]);
  return g.sub(g.cumSum(g.expand(one, [length]), 0), one);
}
