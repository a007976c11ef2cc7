/**
 * The forward pass of BERT (Devlin et al., 2019, arXiv:1810.04805) and its kin: embeddings, then encoder layers with a norm
 * behind each residual sum (Vaswani et al., 2017, arXiv:1706.03762).
 */
import type { Builder } from "../../ir/builder.js";
import type { Dim } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";
import { ACTIVATIONS } from "../activations.js";
import { counted } from "../counted.js";
import { branchMasks, residual } from "../drop-path.js";
import type { ForwardOptions, Head } from "../model.js";
import type { Weights } from "../weights.js";
import { type BertConfig, paddingToken } from "./config.js";
import type { LayerNames } from "./families.js";
import type { BertNames } from "./names.js";

/**
 * input_ids, attention_mask and, where the family has them, token_type_ids: int64 [batch, tokens]; position_ids, unless the
 * graph is to count them.
 */
export type BertInputs = Readonly<Record<string, Value>>;

/** What stands for a text: the mean of its tokens, its first token, or that token through the trunk's pooler. */
export type Pooling = "mean" | "first" | "pooler";

export interface BertTrunk {
  readonly config: BertConfig;
  readonly names: BertNames;
  /** The embeddings of padding enter as constants of their own: PyTorch trains none (`padding_idx`). */
  readonly fixedPadding: boolean;
}

/** Features [batch, width] of texts. */
export function bertTrunk(
  g: Builder,
  w: Weights,
  inputs: BertInputs,
  trunk: BertTrunk,
  pooling: Pooling,
  o: ForwardOptions = {},
): Value {
  const x = encode(g, w, inputs, trunk, pooling === "mean" ? "all" : "first", o);
  if (pooling === "mean") return meanOfTokens(g, x, inputs["attention_mask"]!);
  const [batch, , width] = x.type.shape;
  const first = g.reshape(x, [batch!, width!]);
  return pooling === "pooler" ? g.tanh(w.linear(trunk.names.pooler!, first)) : first;
}

/** States [batch, tokens, width] of every token: `last_hidden_state` of transformers' own encoder classes. */
export const hiddenStates = (g: Builder, w: Weights, inputs: BertInputs, trunk: BertTrunk): Value =>
  encode(g, w, inputs, trunk, "all", {});

/** Logits [batch, outputs] of features, through the layers of the head. */
export function bertLogits(g: Builder, w: Weights, features: Value, c: BertConfig, { layers }: Head): Value {
  const between = c.family.head.between === "tanh" ? g.tanh : g.relu;
  return layers.reduce((x, { name }, i) => w.linear(name, i === 0 ? x : between(x)), features);
}

/** States of all tokens behind the last layer, or of the first one alone. */
function encode(
  g: Builder,
  w: Weights,
  inputs: BertInputs,
  trunk: BertTrunk,
  wanted: "all" | "first",
  { dropPath }: ForwardOptions,
): Value {
  const { config: c, names } = trunk;
  const drop = dropPath && branchMasks(g, dropPath);
  let x = embed(g, w, inputs, trunk); // [batch, tokens, width]
  const bias = attentionBias(g, w, inputs["attention_mask"]!, names);
  names.layers.forEach((layer, i) => {
    // Where only the first token is pooled, the last layer's output is needed for no other.
    const needed = wanted === "first" && i === names.layers.length - 1 ? "first" : "all";
    x = g.block(() => encoderLayer(g, w, x, bias, c, names, layer, needed, drop?.slice(2 * i, 2 * i + 2)));
  });
  return x;
}

/** Words, positions and kinds of text added up. */
function embed(g: Builder, w: Weights, inputs: BertInputs, trunk: BertTrunk): Value {
  const { config: c, names } = trunk;
  const ids = inputs["input_ids"]!;
  const words = look(g, w, names.words, ids, trunk, paddingToken(c)); // [batch, tokens, width]
  const typed = names.types ? g.add(words, look(g, w, names.types, inputs["token_type_ids"]!, trunk)) : words;
  const places = inputs["position_ids"] ?? positions(g, ids, c);
  const placed = g.add(typed, look(g, w, names.positions, places, trunk, c.paddingIndex));
  return layerNorm(g, w, names.norm, placed, c, names);
}

/** Rows of an embedding table; no gradient reaches the one of padding. */
function look(g: Builder, w: Weights, table: string, rows: Value, trunk: BertTrunk, padding?: number): Value {
  const found = g.gather(w.get(`${table}.weight`), rows, 0);
  if (padding === undefined || !trunk.fixedPadding) return found;
  const isPadding = g.reshape(g.equal(rows, integer(g, padding)), [...rows.type.shape, 1]);
  return g.where(isPadding, w.rows(`${table}.weight`, padding, padding + 1), found);
}

/** Rows of the position table: 0, 1, 2 … for every text, or counted behind the padding index, padding left out. */
function positions(g: Builder, ids: Value, { paddingIndex }: BertConfig): Value {
  if (paddingIndex === undefined) return g.reshape(counted(g, ids.type.shape[1]!), [1, ids.type.shape[1]!]);
  const padding = integer(g, paddingIndex);
  const real = g.where(g.equal(ids, padding), integer(g, 0), integer(g, 1)); // [batch, tokens]
  return g.add(g.mul(g.cumSum(real, 1), real), padding);
}

const integer = (g: Builder, value: number): Value => g.constant("int64", [], [value]);

/** What hides a token: far below any score, and finite, so that a row which sees nothing is no division by 0. */
const HIDDEN = -1e30;

/**
 * Added to attention scores: 0 where a token sees another, {@link HIDDEN} where it does not; and MPNet's bias by distance.
 * Tokens see those of their own number in the mask. Padding (0) is seen by none; it sees all of the rest, as in
 * transformers: in texts that are filled up on the left the first token, which a classifier pools, is padding.
 */
function attentionBias(g: Builder, w: Weights, mask: Value, names: BertNames): Value {
  const [batch, tokens] = mask.type.shape as [Dim, Dim];
  const [queries, keys] = [g.reshape(mask, [batch, 1, tokens, 1]), g.reshape(mask, [batch, 1, 1, tokens])];
  const padding = integer(g, 0);
  const seen = g.and(g.greater(keys, padding), g.or(g.equal(queries, keys), g.equal(queries, padding)));
  const hiding = g.where(seen, g.scalar(0), g.scalar(HIDDEN)); // [batch, 1, tokens, tokens]
  if (names.distances === undefined) return hiding;
  return g.add(hiding, distanceBias(g, w.get(`${names.distances}.weight`), tokens)); // [batch, heads, tokens, tokens]
}

/** Distances at which a new bucket begins: ⌊8 + 8 · log₁₆(distance / 8)⌋ from 8 on, in transformers' float32. */
const BUCKET_BOUNDS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];

/**
 * MPNet's bias of attention scores (Song et al., 2020, arXiv:2004.09297): [1, heads, tokens, tokens] from a table
 * [buckets, heads] by the bucket of the distance from query to key, 0 … 15 back, 16 … 31 ahead.
 */
export function distanceBias(g: Builder, table: Value, tokens: Dim): Value {
  const at = counted(g, tokens);
  const ahead = g.sub(g.reshape(at, [1, tokens]), g.reshape(at, [tokens, 1])); // [queries, keys]
  const bounds = g.constant(
    "int64",
    [BUCKET_BOUNDS.length],
    BUCKET_BOUNDS.map((bound) => bound - 1),
  );
  const reached = g.greater(g.reshape(g.abs(ahead), [tokens, tokens, 1]), bounds);
  const bucket = g.reduceSum(g.cast(reached, "int64"), [2]);
  const half = g.where(g.greater(ahead, integer(g, 0)), integer(g, 16), integer(g, 0));
  const biases = g.transpose(g.gather(table, g.add(bucket, half), 0), [2, 0, 1]);
  return g.reshape(biases, [1, ...biases.type.shape]);
}

/** Post-norm encoder layer: h = norm(x + attention(x)), norm(h + W₂·f(W₁·h)); of the first token alone where asked. */
function encoderLayer(
  g: Builder,
  w: Weights,
  x: Value,
  bias: Value,
  c: BertConfig,
  names: BertNames,
  n: LayerNames,
  needed: "all" | "first",
  drop: Value[] | undefined,
): Value {
  const queries = needed === "first" ? first(g, x, 1) : x; // [batch, needed, width]
  const queryBias = needed === "first" ? first(g, bias, 2) : bias;
  const mixed = attention(g, w, queries, x, queryBias, c, n);
  const h = layerNorm(g, w, n.attentionNorm, residual(g, queries, mixed, drop?.[0]), c, names);
  const wide = ACTIVATIONS[c.activation](g, w.linear(n.fc1, h)); // [batch, needed, hidden]
  return layerNorm(g, w, n.outputNorm, residual(g, h, w.linear(n.fc2, wide), drop?.[1]), c, names);
}

/** Multi-head self-attention: softmax(q·kᵀ/√d + bias)·v for each head. */
function attention(g: Builder, w: Weights, queries: Value, x: Value, bias: Value, c: BertConfig, n: LayerNames): Value {
  const d = c.width / c.heads;
  const heads = (y: Value) => {
    const [batch, tokens] = y.type.shape as [Dim, Dim];
    return g.transpose(g.reshape(y, [batch, tokens, c.heads, d]), [0, 2, 1, 3]); // [batch, heads, tokens, d]
  };
  const [q, k, v] = [heads(w.linear(n.query, queries)), heads(w.linear(n.key, x)), heads(w.linear(n.value, x))];
  const scores = g.add(g.matmul(q, k, { transB: true, alpha: 1 / Math.sqrt(d) }), bias);
  const mixed = g.matmul(g.softmax(scores), v); // [batch, heads, needed, d]
  return w.linear(n.projection, g.reshape(g.transpose(mixed, [0, 2, 1, 3]), queries.type.shape));
}

/** The first element along an axis, which stays. */
const first = (g: Builder, x: Value, axis: number): Value => g.gather(x, g.constant("int64", [1], [0]), axis);

function layerNorm(g: Builder, w: Weights, module: string, x: Value, c: BertConfig, names: BertNames): Value {
  const [scale, shift] = names.normTensors.map((tensor) => w.get(`${module}.${tensor}`));
  return g.scope(module, () => g.layerNorm(x, scale!, shift, c.epsilon));
}

/** The mean [batch, width] of the tokens that the mask counts; zeros where it counts none. */
function meanOfTokens(g: Builder, x: Value, mask: Value): Value {
  const [batch, tokens] = mask.type.shape as [Dim, Dim];
  const real = g.where(g.greater(mask, integer(g, 0)), g.scalar(1), g.scalar(0)); // [batch, tokens]
  const sum = g.reduceSum(g.mul(x, g.reshape(real, [batch, tokens, 1])), [1]);
  return g.div(sum, g.add(g.reduceSum(real, [1], true), g.scalar(1e-9)));
}
