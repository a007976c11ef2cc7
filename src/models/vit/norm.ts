import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/graph.js";
import type { Weights } from "../weights.js";
import type { VitConfig } from "./config.js";

/** The norm `module` over the last axis of x: LayerNorm or RMSNorm, as the model has it. */
export const norm = (g: Builder, w: Weights, module: string, x: Value, c: VitConfig): Value =>
  c.norm === "layer"
    ? w.layerNorm(module, x, c.epsilon)
    : g.scope(module, () => g.rmsNorm(x, w.get(`${module}.weight`), c.epsilon));
