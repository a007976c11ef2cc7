/** From the last block to what the head sees. */
import type { Builder } from "../../ir/builder.js";
import type { Dim } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";
import type { Weights } from "../weights.js";
import { activation } from "./activation.js";
import { attend, first, toHeads } from "./attend.js";
import { prefixTokens, type VitConfig } from "./config.js";
import type { AttentionPoolNames, VitNames } from "./names.js";
import { norm } from "./norm.js";

/** How many tokens, counted from the first, pooling looks at; undefined: all of them. */
export const pooledTokens = ({ pool }: VitConfig): number | undefined =>
  pool === "token" ? 1 : pool === "token-and-distillation" ? 2 : undefined;

/** Features [batch, featureWidth] of x [batch, tokens, width]: eq. 4 of arXiv:2010.11929, and what others pool. */
export function pool(g: Builder, w: Weights, x: Value, c: VitConfig, n: VitNames): Value {
  const normed = c.finalNorm === "norm" ? norm(g, w, n.finalNorm, x, c) : x;
  const features = pooled(g, w, normed, c, n);
  return c.finalNorm === "fc_norm" ? norm(g, w, n.finalNorm, features, c) : features;
}

function pooled(g: Builder, w: Weights, x: Value, c: VitConfig, n: VitNames): Value {
  const [batch, tokens, width] = x.type.shape as [Dim, number, number];
  const flat = (y: Value): Value => g.reshape(y, [batch, (y.type.shape[1] as number) * width]);
  const token = (): Value => flat(first(g, x, 1, 1));
  const from = c.poolPrefix ? 0 : prefixTokens(c);
  const some = (): Value => (from === 0 ? x : g.slice(x, 1, from, tokens));
  switch (c.pool) {
    case "token":
      return token();
    case "token-and-distillation":
      return flat(x); // no other token is left
    case "avg":
      return g.reduceMean(some(), [1]);
    case "max":
      return g.reduceMax(some(), [1]);
    case "avgmax":
      return g.mul(g.add(g.reduceMean(some(), [1]), g.reduceMax(some(), [1])), g.scalar(0.5));
    case "token-and-avg":
      return g.concat([token(), g.reduceMean(some(), [1])], 1);
    case "prr": {
      const heads = toHeads(g, some(), c.heads);
      const queries = c.classToken ? first(g, heads, 2, 1) : heads;
      return g.reduceMean(attend(g, queries, heads, heads), [1]);
    }
    case "map":
      return flat(attentionPool(g, w, some(), c, n.attentionPool));
  }
}

/**
 * Attention pooling (arXiv:1810.00825, as SigLIP has it): one learned query asks all tokens, and an MLP follows.
 *
 *     h = proj(attention(q(latent), k(x), v(x)))        y = h + mlp(norm(h))        [batch, 1, width]
 */
function attentionPool(g: Builder, w: Weights, x: Value, c: VitConfig, n: AttentionPoolNames): Value {
  const { heads, width } = c;
  const latent = w.get(n.latent, [1, 1, width]);
  const layers = n.attention;
  const inputs = (): readonly [query: Value, keyValue: Value] => {
    if (!("packed" in layers)) return [w.linear(layers.query, latent), w.linear(layers.keyValue, x)];
    const [wq, wkv] = g.split(w.get(`${layers.packed}_weight`), [width, 2 * width], 0);
    const [bq, bkv] = g.split(w.get(`${layers.packed}_bias`), [width, 2 * width], 0);
    return [g.linear(latent, wq!, bq), g.linear(x, wkv!, bkv)];
  };
  const [query, keyValue] = inputs();
  const [k, v] = g.split(toHeads(g, keyValue, 2 * heads), [heads, heads], 1);
  const h = w.linear(layers.projection, attend(g, toHeads(g, query, heads), k!, v!)); // [batch, 1, width]
  const wide = activation(g, w.linear(n.fc1, norm(g, w, n.norm, h, c)), c);
  return g.add(h, w.linear(n.fc2, wide));
}
