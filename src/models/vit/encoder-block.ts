/** An encoder block: multi-head self-attention and an MLP, each a residual branch with its norm. */
import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/graph.js";
import { residual } from "../drop-path.js";
import type { Weights } from "../weights.js";
import { activation } from "./activation.js";
import { attend, first, toHeads } from "./attend.js";
import type { VitConfig } from "./config.js";
import type { AttentionNames, BlockNames } from "./names.js";
import { norm } from "./norm.js";

/**
 * Of x [batch, tokens, width] the output for the first `needed` tokens [batch, needed, width].
 *
 *     h = x + γ₁ ⊙ attention(norm(x))        y = h + γ₂ ⊙ mlp(norm(h))
 *
 * (eq. 2 and 3 of arXiv:2010.11929; γ: LayerScale, where the model has it), or with norms behind the branches
 *
 *     h = x + norm(attention(x))             y = h + norm(mlp(h))
 */
export function encoderBlock(
  g: Builder,
  w: Weights,
  x: Value,
  c: VitConfig,
  n: BlockNames,
  needed: number,
  drop: Value[] | undefined,
): Value {
  const branch = (y: Value, module: string, scale: string, body: (y: Value) => Value): Value => {
    if (c.blockNorm === "res-post") return norm(g, w, module, body(y), c);
    const z = body(norm(g, w, module, y, c));
    return c.layerScale ? g.mul(z, w.get(scale)) : z;
  };
  const mixed = branch(x, n.norm1, n.layerScale1, (y) => attention(g, w, y, c, n.attention, needed));
  const h = residual(g, first(g, x, 1, needed), mixed, drop?.[0]); // [batch, needed, width]
  return residual(
    g,
    h,
    branch(h, n.norm2, n.layerScale2, (y) => mlp(g, w, y, c, n)),
    drop?.[1],
  );
}

/** Multi-head self-attention for the queries of the first `needed` tokens. */
function attention(g: Builder, w: Weights, x: Value, c: VitConfig, n: AttentionNames, needed: number): Value {
  const fused = (module: string) => {
    const [q, k, v] = g.split(toHeads(g, w.linear(module, x), 3 * c.heads), [c.heads, c.heads, c.heads], 1);
    return [first(g, q!, 2, needed), k!, v!] as const;
  };
  const single = (module: string, y: Value) => toHeads(g, w.linear(module, y), c.heads);
  const [q, k, v] =
    "qkv" in n ? fused(n.qkv) : [single(n.query, first(g, x, 1, needed)), single(n.key, x), single(n.value, x)];
  const normed = (y: Value, module: string) => (c.qkNorm ? norm(g, w, module, y, c) : y);
  const mixed = attend(g, normed(q, n.queryNorm), normed(k, n.keyNorm), v); // [batch, needed, width]
  return w.linear(n.projection, c.attentionNorm ? norm(g, w, n.norm, mixed, c) : mixed);
}

/** act(x·W₁)·W₂, or gated: (act(x·W_gate) ⊙ x·W_up)·W₂ (arXiv:2002.05202). */
function mlp(g: Builder, w: Weights, x: Value, c: VitConfig, n: BlockNames): Value {
  const inside = (): Value => {
    if (c.mlp === "plain") return activation(g, w.linear(n.fc1, x), c);
    const [gate, up] =
      c.mlp === "gated"
        ? g.split(w.linear(n.fc1, x), [c.hidden, c.hidden], -1)
        : [w.linear(n.gate, x), w.linear(n.up, x)];
    return g.mul(activation(g, gate!, c), up!);
  };
  const wide = inside(); // [batch, tokens, hidden]
  return w.linear(n.fc2, c.mlpNorm ? norm(g, w, n.mlpNorm, wide, c) : wide);
}
