import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";

type Activation = (g: Builder, x: Value) => Value;

const gelu: Activation = (g, x) => g.gelu(x);
const geluTanh: Activation = (g, x) => g.gelu(x, "tanh");
const silu: Activation = (g, x) => g.quickGelu(x, 1);

/** Functions by the names that configs of transformers have for them. @see transformers 5.23, activations.ACT2FN */
export const ACTIVATIONS = {
  gelu,
  gelu_python: gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  quick_gelu: (g, x) => g.quickGelu(x, 1.702),
  silu,
  swish: silu,
  relu: (g, x) => g.relu(x),
  relu2: (g, x) => {
    const y = g.relu(x);
    return g.mul(y, y);
  },
  tanh: (g, x) => g.tanh(x),
  sigmoid: (g, x) => g.sigmoid(x),
  linear: (_, x) => x,
} satisfies Readonly<Record<string, Activation>>;

export type ActivationName = keyof typeof ACTIVATIONS;

/** For {@link Fields.choice}: each name as itself. */
export const ACTIVATION_NAMES = Object.fromEntries(Object.keys(ACTIVATIONS).map((name) => [name, name])) as Readonly<
  Record<ActivationName, ActivationName>
>;
