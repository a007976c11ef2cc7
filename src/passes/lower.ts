/** The last passes before a graph runs: what is written for every device becomes what one device can run. */
import type { Graph } from "../ir/graph.js";
import { eliminateDead } from "./eliminate-dead.js";
import { expandFused } from "./expand-fused.js";
import { lowerLinear } from "./lower-linear.js";
import { narrowIntegers } from "./narrow-integers.js";
import { orderNodes } from "./order.js";
import { shapesAsInputs } from "./shapes-as-inputs.js";
import { storeWide } from "./store-wide.js";
import { throughFloats } from "./through-floats.js";
import { webgpuKernels } from "./webgpu-kernels.js";
import { widenWeights } from "./widen-weights.js";

/** `portable`: a file of ONNX's own operators alone. */
export type LoweringTarget = "cpu" | "webgpu" | "portable";

const passes: Readonly<Record<LoweringTarget, readonly ((graph: Graph) => Graph)[]>> = {
  cpu: [eliminateDead, lowerLinear, widenWeights, orderNodes],
  webgpu: [
    lowerLinear,
    webgpuKernels,
    shapesAsInputs,
    narrowIntegers,
    throughFloats,
    eliminateDead,
    storeWide,
    orderNodes,
  ],
  portable: [eliminateDead, lowerLinear, expandFused, widenWeights],
};

/** Lowers a graph for a device; `check` sees the graph after every pass. */
export function lowerFor(target: LoweringTarget, graph: Graph, check?: (graph: Graph, pass: string) => void): Graph {
  let current = graph;
  for (const pass of passes[target]) {
    current = pass(current);
    check?.(current, pass.name);
  }
  return current;
}
