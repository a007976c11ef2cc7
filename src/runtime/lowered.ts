import { checkGraph } from "../ir/checker.js";
import type { Graph } from "../ir/graph.js";
import { ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { lowerFor } from "../passes/lower.js";
import type { Device } from "./runtime.js";

/** The graph as a device runs it, checked before the first pass and after each. */
export function loweredFor(device: Device, graph: Graph): Graph {
  const infer = inferWith(ops);
  checkGraph(graph, infer);
  return lowerFor(device === "webgpu" ? "webgpu" : "cpu", graph, (g, pass) => checkGraph(g, infer, pass));
}
