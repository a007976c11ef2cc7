import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/graph.js";
import { ACTIVATIONS, type ActivationName } from "../activations.js";
import type { VitActivation, VitConfig } from "./config.js";

const NAMES: Readonly<Record<VitActivation, ActivationName>> = {
  gelu: "gelu",
  gelu_tanh: "gelu_pytorch_tanh",
  quick_gelu: "quick_gelu",
  silu: "silu",
  relu: "relu",
};

/** The function inside every MLP of the model. */
export const activation = (g: Builder, x: Value, c: VitConfig): Value => ACTIVATIONS[NAMES[c.activation]](g, x);
