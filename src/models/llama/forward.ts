/** The forward pass of LLaMA (Touvron et al., 2023, arXiv:2302.13971) and its kin. */

import type { Builder } from "../../ir/builder.js";
import { addDims, type Dim, elements, multiplyDims } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";
import { ACTIVATIONS } from "../activations.js";
import { counted } from "../counted.js";
import { branchMasks, residual } from "../drop-path.js";
import type { ForwardOptions, KeyValue, Present } from "../model.js";
import { paddingRow } from "../padding.js";
import type { Weights } from "../weights.js";
import type { LlamaConfig } from "./config.js";
import type { AttentionNames, BlockNames, LlamaNames, MlpNames } from "./names.js";
import { type RotaryTables, rotaryTables } from "./rope.js";

export interface LlamaInputs {
  /** int64 [batch, tokens] */
  readonly ids: Value;
  /** int64 [batch, past + tokens]: 0 is padding; a token sees those of its own number. */
  readonly mask: Value;
  /** int64 [batch, tokens]; counted on from the past unless given. */
  readonly positions?: Value | undefined;
  /** int32 [rows]: which of the batch·tokens positions give a row of features; else the last real token of each text. */
  readonly scored?: Value | undefined;
}

export interface LlamaTrunk {
  readonly config: LlamaConfig;
  readonly names: LlamaNames;
}

/** What all layers share. */
interface Pass {
  readonly c: LlamaConfig;
  readonly tables: RotaryTables;
  readonly sightOf: (window: number | undefined) => Sight;
}

/** What the tokens of a layer see. */
interface Sight {
  /** Added to the scores, [batch, 1, tokens, past + tokens]: 0 where a token sees another. */
  readonly mask: Value;
  /** 1 for a token that sees any, 0 for one that sees none (padding in front of a text): [batch, 1, tokens, 1]. */
  readonly any: Value;
}

/** Features [rows, width] of token ids. */
export function llamaTrunk(g: Builder, w: Weights, inputs: LlamaInputs, trunk: LlamaTrunk, o: ForwardOptions): Value {
  const { config: c, names } = trunk;
  const shape = inputs.ids.type.shape as readonly [Dim, Dim];
  const past = o.cache?.past[0]?.key.type.shape[2] ?? 0;
  const positions =
    inputs.positions ?? g.expand(lastOf(g, counted(g, addDims(past, shape[1])), 0, past, shape[1]), shape);
  const pass = {
    c,
    tables: rotaryTables(g, c.rope, positions),
    sightOf: sights(g, inputs.mask, past, shape[1]),
  };
  const drop = o.dropPath && branchMasks(g, o.dropPath);

  let x = embed(g, w, inputs.ids, trunk); // [batch, tokens, width]
  names.blocks.forEach((block, i) => {
    const cache = o.cache && { past: o.cache.past[i]!, keep: (present: Present) => o.cache!.present.push(present) };
    x = g.block(() => decoderBlock(g, w, x, block, pass, c.windows[i], cache, drop?.slice(2 * i, 2 * i + 2)));
  });
  const rows = inputs.scored ?? lastRealTokens(g, inputs, c.padId);
  const features = g.gather(g.reshape(x, [elements(shape), c.width]), rows, 0); // [rows, width]
  return rmsNorm(g, w, names.finalNorm, features, c);
}

/** Logits [rows, vocabulary] of the next token; a tied head's weight is the embedding. */
export const languageHead = (g: Builder, w: Weights, features: Value, { config, names }: LlamaTrunk): Value =>
  config.tied
    ? g.scope(names.languageHead, () => g.linear(features, w.get(`${names.embedding}.weight`)))
    : w.linear(names.languageHead, features);

function embed(g: Builder, w: Weights, ids: Value, { config: c, names }: LlamaTrunk): Value {
  const table = `${names.embedding}.weight`;
  const tokens = g.gather(w.get(table), ids, 0); // [batch, tokens, width]
  // No gradient comes to the table from the padding token: its row enters the graph as a constant of its own.
  const row = paddingRow(c.padId, c.vocabulary);
  if (row === undefined) return tokens;
  const isPadding = g.equal(ids, g.constant("int64", [], [row]));
  return g.where(g.reshape(isPadding, [...ids.type.shape, 1]), w.rows(table, row, row + 1), tokens);
}

interface LayerCache {
  readonly past: KeyValue;
  readonly keep: (present: Present) => void;
}

/** Pre-norm block: attention, then the gated MLP, each added to what it reads. */
function decoderBlock(
  g: Builder,
  w: Weights,
  x: Value,
  n: BlockNames,
  pass: Pass,
  window: number | undefined,
  cache: LayerCache | undefined,
  drop: Value[] | undefined,
): Value {
  const mixed = attention(g, w, rmsNorm(g, w, n.norm1, x, pass.c), n.attention, pass, window, cache);
  const h = residual(g, x, mixed, drop?.[0]); // [batch, tokens, width]
  return residual(g, h, mlp(g, w, rmsNorm(g, w, n.norm2, h, pass.c), n.mlp, pass.c), drop?.[1]);
}

/** x / √(mean(x²) + ε) ⊙ weight (Zhang and Sennrich, 2019, arXiv:1910.07467). */
function rmsNorm(g: Builder, w: Weights, module: string, x: Value, { epsilon }: LlamaConfig): Value {
  const scale = w.get(`${module}.weight`);
  return g.scope(module, () => g.rmsNorm(x, scale, epsilon));
}

/**
 * softmax(q·kᵀ/√d + mask)·v for each head; a group of heads shares its keys and values (Ainslie et al., 2023). A token that
 * sees nothing takes nothing up, as in PyTorch's `scaled_dot_product_attention`.
 */
function attention(
  g: Builder,
  w: Weights,
  x: Value,
  n: AttentionNames,
  { c, tables, sightOf }: Pass,
  window: number | undefined,
  cache: LayerCache | undefined,
): Value {
  const [batch, tokens] = x.type.shape as [Dim, Dim, number];
  const { heads, keyValueHeads, headWidth: d } = c;
  const split = (y: Value, count: number) => g.transpose(g.reshape(y, [batch, tokens, count, d]), [0, 2, 1, 3]);
  const turned = (y: Value, count: number, norm: string) => {
    const byHead = () => rmsNorm(g, w, norm, g.reshape(y, [batch, tokens, count, d]), c);
    const normed = c.headNorm ? g.reshape(byHead(), [batch, tokens, count * d]) : y;
    const part = 2 * c.rope.frequencies.length;
    return split(g.rotate(normed, tables.rows, tables.cos, tables.sin, count, part < d ? part : undefined), count);
  };
  const [queries, keys, values] =
    "qkv" in n
      ? g.split(w.linear(n.qkv, x), [heads * d, keyValueHeads * d, keyValueHeads * d], 2)
      : [n.query, n.key, n.value].map((name) => w.linear(name, x));
  const q = turned(queries!, heads, n.queryNorm); // [batch, heads, tokens, d]
  let k = turned(keys!, keyValueHeads, n.keyNorm); // [batch, keyValueHeads, past + tokens, d]
  let v = split(values!, keyValueHeads);
  if (cache) {
    const added = { key: k, value: v };
    [k, v] = [g.concat([cache.past.key, k], 2), g.concat([cache.past.value, v], 2)];
    cache.keep({ key: k, value: v, added });
  }
  const total = k.type.shape[2]!;
  // The queries of a group stand below each other, so that one product serves them and no key or value is copied.
  const rows = multiplyDims(heads / keyValueHeads, tokens);
  const scores = g.matmul(g.reshape(q, [batch, keyValueHeads, rows, d]), k, { transB: true, alpha: 1 / Math.sqrt(d) });
  const { mask, any } = sightOf(window);
  const seen = g.softmax(g.add(g.reshape(scores, [batch, heads, tokens, total]), mask));
  const mixed = g.matmul(g.reshape(seen, [batch, keyValueHeads, rows, total]), v);
  const taken = g.mul(g.reshape(mixed, [batch, heads, tokens, d]), any);
  const joined = g.transpose(taken, [0, 2, 1, 3]);
  return w.linear(n.output, g.reshape(joined, [batch, tokens, heads * d]));
}

/** (act(x·gateᵀ) ⊙ x·upᵀ)·downᵀ (Shazeer, 2020, arXiv:2002.05202). */
function mlp(g: Builder, w: Weights, x: Value, n: MlpNames, c: LlamaConfig): Value {
  const [gate, up] =
    "gateUp" in n ? g.split(w.linear(n.gateUp, x), [c.hidden, c.hidden], 2) : [w.linear(n.gate, x), w.linear(n.up, x)];
  return w.linear(n.down, g.mul(ACTIVATIONS[c.activation](g, gate!), up!));
}

/** float32's lowest number: finite, so that the softmax of a row that sees nothing is no division by 0. */
const HIDDEN = -3.4028234663852886e38;

/**
 * A token sees itself and tokens before it in the sequence (whatever their positions), of these no padding, the nearest
 * `window` only, and those of its own example where the mask numbers several. Padding sees all that is no padding.
 */
function sights(g: Builder, numbers: Value, past: Dim, tokens: Dim): Pass["sightOf"] {
  const [batch, total] = numbers.type.shape as [Dim, Dim];
  const integer = (n: number) => g.constant("int64", [], [n]);
  const order = counted(g, total);
  const age = g.sub(g.reshape(lastOf(g, order, 0, past, tokens), [tokens, 1]), order); // [tokens, past + tokens]
  const query = g.reshape(lastOf(g, numbers, 1, past, tokens), [batch, 1, tokens, 1]);
  const key = g.reshape(numbers, [batch, 1, 1, total]);
  const together = g.and(g.greater(key, integer(0)), g.or(g.equal(query, key), g.equal(query, integer(0))));
  const causal = g.and(together, g.greater(age, integer(-1)));

  const made = new Map<number | undefined, Sight>();
  return (window) => {
    const known = made.get(window);
    if (known) return known;
    const visible = window === undefined ? causal : g.and(causal, g.greater(integer(window), age));
    const mask = g.where(visible, g.scalar(0), g.scalar(HIDDEN));
    const most = g.reshape(g.reduceMax(mask, [3]), [batch, 1, tokens, 1]);
    const any = g.cast(g.greater(most, g.scalar(HIDDEN)), "float32");
    made.set(window, { mask, any });
    return { mask, any };
  };
}

/** What follows the first `past` elements along an axis. */
const lastOf = (g: Builder, x: Value, axis: number, past: Dim, tokens: Dim): Value =>
  past === 0 ? x : g.split(x, [past, tokens], axis)[1]!;

/**
 * The last token of each text that is not the padding token, by its id as transformers finds it (the first token of a text
 * of nothing else); where no token is set aside for padding, the last one that the mask shows.
 */
function lastRealTokens(g: Builder, { ids, mask }: LlamaInputs, padId: number | undefined): Value {
  const [batch, tokens] = ids.type.shape as [Dim, Dim];
  const zero = g.constant("int64", [], [0]);
  const isPadding = padId === undefined ? g.equal(mask, zero) : g.equal(ids, g.constant("int64", [], [padId]));
  const last = g.reduceMax(g.where(isPadding, zero, counted(g, tokens)), [1]); // [batch]
  return g.add(g.mul(counted(g, batch), g.shapeTensor([tokens])), last);
}
