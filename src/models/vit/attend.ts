import type { Builder } from "../../ir/builder.js";
import type { Dim } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";

/** x [batch, tokens, heads·d] as [batch, heads, tokens, d]. */
export function toHeads(g: Builder, x: Value, heads: number): Value {
  const [batch, tokens, width] = x.type.shape as [Dim, number, number];
  return g.transpose(g.reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
}

/** softmax(q·kᵀ/√d)·v for each head, with the heads side by side again: [batch, queries, heads·d]. */
export function attend(g: Builder, q: Value, k: Value, v: Value): Value {
  const [, heads, queries, d] = q.type.shape as [Dim, number, number, number];
  const scores = g.matmul(q, k, { transB: true, alpha: 1 / Math.sqrt(d) }); // [batch, heads, queries, tokens]
  const mixed = g.matmul(g.softmax(scores), v); // [batch, heads, queries, d]
  const [batch] = mixed.type.shape as [Dim];
  return g.reshape(g.transpose(mixed, [0, 2, 1, 3]), [batch, queries, heads * d]);
}

/** The first `count` elements along an axis. */
export const first = (g: Builder, x: Value, axis: number, count: number): Value =>
  x.type.shape[axis] === count ? x : g.slice(x, axis, 0, count);
