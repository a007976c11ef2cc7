/**
 * The forward pass of the Vision Transformer (Dosovitskiy et al., 2021, arXiv:2010.11929, eq. 1–4), with what later papers
 * added: tokens beside the class token, positions for some tokens only, a norm behind the embedding. Its blocks stand in
 * encoder-block.ts, what it gives to the head in pool.ts.
 */
import type { Size } from "../../formats/fields.js";
import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/graph.js";
import { branchMasks } from "../drop-path.js";
import type { ForwardOptions } from "../model.js";
import type { Weights } from "../weights.js";
import { patchGrid, positionedPrefix, type VitConfig } from "./config.js";
import { encoderBlock } from "./encoder-block.js";
import type { VitNames } from "./names.js";
import { norm } from "./norm.js";
import { pool, pooledTokens } from "./pool.js";

/** Features [batch, featureWidth] of images [batch, channels, height, width]. */
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
  if (c.embeddingNorm) x = norm(g, w, names.embeddingNorm, x, c);
  names.blocks.forEach((block, i) => {
    // Of the last block's output only those tokens are computed that are pooled.
    const last = i === names.blocks.length - 1;
    const needed = (last && pooledTokens(c)) || (x.type.shape[1] as number);
    x = g.block(() => encoderBlock(g, w, x, c, block, needed, drop?.slice(2 * i, 2 * i + 2)));
  });
  return pool(g, w, x, c, names);
}

/** Eq. 1: patches projected, class, distillation and register tokens in front, positions added. */
function embed(g: Builder, w: Weights, images: Value, c: VitConfig, names: VitNames): Value {
  const patches = project(g, w, images, c, names); // [batch, patches, width]
  const [batch, count, width] = patches.type.shape as [string, number, number];
  const token = (name: string, n = 1): Value => g.expand(w.get(name, [1, n, width]), [batch, n, width]);
  const prefix = [
    ...(c.classToken ? [token(names.classToken)] : []),
    ...(c.distillationToken ? [token(names.distillationToken)] : []),
    ...(c.registers > 0 ? [token(names.registers, c.registers)] : []),
  ];
  if (c.positions === "none") return g.concat([...prefix, patches], 1);

  // Tokens with a position come first, get it together with the patches, and are parted from them again by the others.
  const positioned = positionedPrefix(c);
  const [first, others] =
    c.positions === "all" ? [prefix, []] : [prefix.slice(0, positioned), prefix.slice(positioned)];
  const table = w.get(names.positionEmbedding, [1, positioned + count, width]);
  const placed = g.add(g.concat([...first, patches], 1), table);
  if (others.length === 0) return placed;
  const parts = positioned > 0 ? g.split(placed, [positioned, count], 1) : [placed];
  return g.concat([...parts.slice(0, -1), ...others, parts.at(-1)!], 1); // [batch, tokens, width]
}

/** A convolution whose stride is its kernel: a linear map of patches. Pixels that fill no patch are left out. */
function project(g: Builder, w: Weights, images: Value, c: VitConfig, names: VitNames): Value {
  const [batch, channels] = images.type.shape as [string, number, number, number];
  const [p, q] = c.patchSize;
  const [rows, columns] = patchGrid(c);
  const grid = g.reshape(cropTo(g, images, [rows * p, columns * q]), [batch, channels, rows, p, columns, q]);
  const patches = g.reshape(g.transpose(grid, [0, 2, 4, 1, 3, 5]), [batch, rows * columns, channels * p * q]);
  const kernel = w.get(`${names.patchEmbedding}.weight`, [c.width, channels * p * q]);
  const projected = g.linear(patches, kernel, w.optional(`${names.patchEmbedding}.bias`)); // [batch, patches, width]
  return c.patchNorm ? norm(g, w, names.patchNorm, projected, c) : projected;
}

/** The top left part of images, of this size. */
const cropTo = (g: Builder, images: Value, size: Size): Value =>
  size.reduce((x, length, i) => (x.type.shape[2 + i] === length ? x : g.slice(x, 2 + i, 0, length)), images);
