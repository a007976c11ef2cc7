import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/graph.js";

type Activation = (g: Builder, x: Value) => Value;

const gelu: Activation = (g, x) => g.gelu(x);
const geluTanh: Activation = (g, x) => g.gelu(x, "tanh");
const silu: Activation = (g, x) => g.quickGelu(x, 1);

/** Spellings of transformers.activations.ACT2FN. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu,
  gelu_python: gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  quick_gelu: (g, x) => g.quickGelu(x, 1.702),
  relu: (g, x) => g.relu(x),
  silu,
  swish: silu,
  tanh: (g, x) => g.tanh(x),
  sigmoid: (g, x) => g.sigmoid(x),
};
