/** The forward pass of the Vision Transformer (Dosovitskiy et al., 2021, arXiv:2010.11929, eq. 1–4). */
import type { Size } from "../../formats/fields.js";
import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/graph.js";
import { branchMasks, residual } from "../drop-path.js";
import type { ForwardOptions } from "../model.js";
import type { Weights } from "../weights.js";
import { patchGrid, type VitConfig } from "./config.js";
import type { AttentionNames, BlockNames, VitNames } from "./names.js";

/** Features [batch, width] of images [batch, channels, height, width]. */
export function vitTrunk(
  g: Builder,
  w: Weights,
  images: Value,
  c: VitConfig,
  names: VitNames,
  o: ForwardOptions,
): Value {
  const drop = o.dropPath && branchMasks(g, o.dropPath);
  let x = embed(g, w, images, c, names); // [batch, tokens, width]
  names.blocks.forEach((block, i) => {
    // Where pooling takes the class token, the last block's output is needed for no other.
    const needed = c.pool === "token" && i === names.blocks.length - 1 ? 1 : (x.type.shape[1] as number);
    x = g.block(() => encoderBlock(g, w, x, c, block, needed, drop?.slice(2 * i, 2 * i + 2)));
  });
  return pool(g, w, x, c, names);
}

/** Eq. 1: patches projected, the class token in front, positions added. */
function embed(g: Builder, w: Weights, images: Value, c: VitConfig, names: VitNames): Value {
  const [batch, channels] = images.type.shape as [string, number, number, number];
  const [p, q] = c.patchSize;
  const [rows, columns] = patchGrid(c);
  // A convolution whose stride is its kernel is a linear map of patches; pixels that fill no patch are left out.
  const grid = g.reshape(cropTo(g, images, [rows * p, columns * q]), [batch, channels, rows, p, columns, q]);
  const patches = g.reshape(g.transpose(grid, [0, 2, 4, 1, 3, 5]), [batch, rows * columns, channels * p * q]);
  const kernel = w.get(`${names.patchEmbedding}.weight`, [c.width, channels * p * q]);
  const projected = g.linear(patches, kernel, w.optional(`${names.patchEmbedding}.bias`)); // [batch, patches, width]
  const tokens = c.classToken
    ? g.concat([g.expand(w.get(names.classToken), [batch, 1, c.width]), projected], 1)
    : projected;
  return g.add(tokens, w.get(names.positionEmbedding)); // [batch, tokens, width]
}

/** The top left part of images, of this size. */
const cropTo = (g: Builder, images: Value, size: Size): Value =>
  size.reduce((x, length, i) => (x.type.shape[2 + i] === length ? x : g.slice(x, 2 + i, 0, length)), images);

/** Pre-norm encoder block, eq. 2 and 3: its output for the first `needed` tokens. */
function encoderBlock(
  g: Builder,
  w: Weights,
  x: Value,
  c: VitConfig,
  n: BlockNames,
  needed: number,
  drop: Value[] | undefined,
): Value {
  const mixed = attention(g, w, w.layerNorm(n.norm1, x, c.epsilon), c, n.attention, needed);
  const h = residual(g, first(g, x, 1, needed), mixed, drop?.[0]); // [batch, needed, width]
  const wide = activation(g, w.linear(n.fc1, w.layerNorm(n.norm2, h, c.epsilon)), c); // [batch, needed, hidden]
  return residual(g, h, w.linear(n.fc2, wide), drop?.[1]); // [batch, needed, width]
}

/** Multi-head self-attention: softmax(q·kᵀ/√d)·v for each head, for the queries of the first `needed` tokens. */
function attention(g: Builder, w: Weights, x: Value, c: VitConfig, n: AttentionNames, needed: number): Value {
  const [batch, tokens, width] = x.type.shape as [string, number, number];
  const d = width / c.heads;
  const heads = (y: Value, count: number) =>
    g.transpose(g.reshape(y, [batch, y.type.shape[1]!, count, d]), [0, 2, 1, 3]); // [batch, count, tokens, d]
  const fused = (module: string) => {
    const [q, k, v] = g.split(heads(w.linear(module, x), 3 * c.heads), [c.heads, c.heads, c.heads], 1);
    return [first(g, q!, 2, needed), k, v];
  };
  const single = (module: string, count: number) => heads(w.linear(module, first(g, x, 1, count)), c.heads);
  const [q, k, v] =
    "qkv" in n ? fused(n.qkv) : [single(n.query, needed), single(n.key, tokens), single(n.value, tokens)];
  const scores = g.matmul(q!, k!, { transB: true, alpha: 1 / Math.sqrt(d) }); // [batch, heads, needed, tokens]
  const mixed = g.matmul(g.softmax(scores), v!); // [batch, heads, needed, d]
  return w.linear(n.projection, g.reshape(g.transpose(mixed, [0, 2, 1, 3]), [batch, needed, width]));
}

/** The first `count` elements along an axis. */
const first = (g: Builder, x: Value, axis: number, count: number): Value =>
  x.type.shape[axis] === count ? x : g.slice(x, axis, 0, count);

function activation(g: Builder, x: Value, c: VitConfig): Value {
  switch (c.activation) {
    case "gelu":
      return g.gelu(x);
    case "gelu_tanh":
      return g.gelu(x, "tanh");
    case "quick_gelu":
      return g.quickGelu(x, 1.702);
  }
}

/** Eq. 4: the class token normalised, or the mean of the patches (prefix tokens left out). */
function pool(g: Builder, w: Weights, x: Value, c: VitConfig, names: VitNames): Value {
  const [batch, tokens] = x.type.shape as [string, number];
  if (c.pool === "token") {
    // Normalisation is by token: that of the class token is all that is needed.
    const token = g.reshape(first(g, x, 1, 1), [batch, c.width]);
    return w.layerNorm(names.finalNorm, token, c.epsilon);
  }
  const mean = (y: Value) => g.reduceMean(c.classToken ? g.slice(y, 1, 1, tokens) : y, [1]);
  return c.finalNorm === "fc_norm"
    ? w.layerNorm(names.finalNorm, mean(x), c.epsilon)
    : mean(w.layerNorm(names.finalNorm, x, c.epsilon));
}
