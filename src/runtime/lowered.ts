import { checkGraph } from "../ir/checker.js";
import type { Graph } from "../ir/graph.js";
import { ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { lowerFor } from "../passes/lower.js";

/** The graph as a CPU runs it, checked before the first pass and after each. */
export function loweredForCpu(graph: Graph): Graph {
  const infer = inferWith(ops);
  checkGraph(graph, infer);
  return lowerFor("cpu", graph, (g, pass) => checkGraph(g, infer, pass));
}
