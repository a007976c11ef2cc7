import type { TensorEntry } from "../../formats/safetensors.js";
import { checkDepth, checkTensors } from "../check-tensors.js";
import type { HeadLayer, LinearLayer } from "../model.js";
import { featureWidth, patchGrid, positionedPrefix, type VitConfig, type VitLibrary } from "./config.js";
import { mapNames, type Spelling } from "./spelling.js";
import { TIMM_SPELLING } from "./spellings-timm.js";
import { TRANSFORMERS_SPELLINGS } from "./spellings-transformers.js";

/** Checkpoint names of a ViT's parts: modules without ".weight" and ".bias", embeddings and factors as they are. */
export interface VitNames {
  readonly patchEmbedding: string;
  readonly patchNorm: string;
  /** Here and below: in the checkpoint only where the config has such a part. */
  readonly classToken: string;
  readonly distillationToken: string;
  readonly registers: string;
  readonly positionEmbedding: string;
  readonly embeddingNorm: string;
  readonly blocks: readonly BlockNames[];
  readonly finalNorm: string;
  readonly attentionPool: AttentionPoolNames;
  readonly head: string;
  readonly distillationHead: string;
}

export interface BlockNames {
  readonly norm1: string;
  readonly attention: AttentionNames;
  readonly layerScale1: string;
  readonly norm2: string;
  /** Of a gated MLP gate and up in one. */
  readonly fc1: string;
  /** Of a gated MLP whose two layers are apart. */
  readonly gate: string;
  readonly up: string;
  readonly mlpNorm: string;
  readonly fc2: string;
  readonly layerScale2: string;
}

/** timm computes query, key and value by one layer [3·width, width], transformers by three. */
export type AttentionNames = (
  | { readonly qkv: string }
  | { readonly query: string; readonly key: string; readonly value: string }
) & {
  readonly queryNorm: string;
  readonly keyNorm: string;
  /** Of what attention mixes. */
  readonly norm: string;
  readonly projection: string;
};

/** timm's AttentionPoolLatent, transformers' SiglipMultiheadAttentionPoolingHead. */
export interface AttentionPoolNames {
  readonly latent: string;
  readonly attention: AttentionPoolLayers;
  readonly norm: string;
  readonly fc1: string;
  readonly fc2: string;
}

/** transformers packs the three inputs' weights into `in_proj_weight` and `in_proj_bias` [3·width]. */
export type AttentionPoolLayers = (
  | { readonly query: string; readonly keyValue: string }
  | { readonly packed: string }
) & { readonly projection: string };

/** What {@link checkVitTensors} found. */
export interface VitTensors {
  readonly names: VitNames;
  /** Every linear layer but the head, in the order of the forward pass. */
  readonly layers: readonly LinearLayer[];
  /** Tensors of the file that play no part. */
  readonly unused: readonly string[];
}

const SPELLINGS: readonly Spelling[] = [TIMM_SPELLING, ...TRANSFORMERS_SPELLINGS];

/** Whose names a checkpoint carries, or undefined if they are not those of a ViT. */
export const vitLibraryOf = (tensors: ReadonlyMap<string, unknown>): VitLibrary | undefined =>
  SPELLINGS.find(({ sign }) => tensors.has(sign))?.library;

/**
 * Finds the spelling of a checkpoint, and checks that it holds what the config says and nothing else.
 * @throws {GloraError} "MODEL" with every tensor that is missing, unexpected, misshapen or of a type that is not computed with
 */
export function checkVitTensors(
  { tensors }: { readonly tensors: ReadonlyMap<string, TensorEntry> },
  config: VitConfig,
  file: string,
): VitTensors {
  const ofLibrary = SPELLINGS.filter(({ library }) => library === config.library);
  const spelling = ofLibrary.find(({ sign }) => tensors.has(sign)) ?? ofLibrary[0]!;
  const { norm1 } = spelling.block;
  checkDepth(tensors, norm1.slice(0, norm1.indexOf("#")), config.depth, file, config.architecture);
  const names = namesOf(spelling, config);
  const layers = linearLayers(names, config);
  const expected = expectedShapes(names, layers, config, spelling);

  // timm leaves a SigLIP's attention pooling in the file where the mean is pooled, and does not load it.
  const spare = config.library === "timm" && config.architecture.includes("siglip") ? /^attn_pool\./ : spelling.unused;
  const mayBeUnused = (name: string): boolean => spelling.unused.test(name) || spare.test(name);
  const unused = checkTensors(tensors, expected, mayBeUnused, file, config.architecture);
  return { names, layers, unused };
}

function namesOf({ names, block }: Spelling, config: VitConfig): VitNames {
  const { norm, fc_norm, ...others } = names;
  return {
    ...others,
    finalNorm: config.finalNorm === "fc_norm" ? fc_norm : norm,
    blocks: Array.from({ length: config.depth }, (_, i) => mapNames(block, (name) => name.replace("#", `${i}`))),
  };
}

/** Every linear layer but the head, in the order of the forward pass. */
export const linearLayers = (names: VitNames, config: VitConfig): readonly LinearLayer[] => [
  ...names.blocks.flatMap((block) => blockLayers(block, config)),
  ...poolLayers(names, config),
];

function blockLayers({ attention, fc1, gate, up, fc2 }: BlockNames, config: VitConfig): LinearLayer[] {
  const { width, hidden, qkvBias, projectionBias, mlp } = config;
  // `qkv_bias` of both libraries' configs can say that these get one.
  const mixing = { in: width, bias: qkvBias, addableBias: !qkvBias };
  const projecting = { bias: projectionBias, addableBias: false };
  const inputs =
    "qkv" in attention
      ? [{ name: attention.qkv, out: 3 * width, ...mixing }]
      : [attention.query, attention.key, attention.value].map((name) => ({ name, out: width, ...mixing }));
  const widening =
    mlp === "gated-apart"
      ? [gate, up].map((name) => ({ name, out: hidden }))
      : [{ name: fc1, out: mlp === "gated" ? 2 * hidden : hidden }];
  return [
    ...inputs,
    { name: attention.projection, in: width, out: width, ...projecting },
    ...widening.map((layer) => ({ ...layer, in: width, ...projecting })),
    { name: fc2, in: hidden, out: width, ...projecting },
  ];
}

/** Of attention pooling; those that transformers packs are no layers of their own. */
function poolLayers({ attentionPool: { attention, fc1, fc2 } }: VitNames, config: VitConfig): LinearLayer[] {
  if (config.pool !== "map") return [];
  const { width } = config;
  const layer = (name: string, from: number, out: number) => ({ name, in: from, out, bias: true, addableBias: false });
  const hidden = poolHidden(config);
  return [
    ...("packed" in attention
      ? []
      : [layer(attention.query, width, width), layer(attention.keyValue, width, 2 * width)]),
    layer(attention.projection, width, width),
    layer(fc1, width, hidden),
    layer(fc2, hidden, width),
  ];
}

/** Attention pooling has a plain MLP of its own, whose ratio timm takes for that of both halves of a gated one. */
const poolHidden = ({ mlp, hidden }: VitConfig): number => (mlp === "gated" ? 2 * hidden : hidden);

/** Every tensor that the forward pass needs, in its order. */
function expectedShapes(
  names: VitNames,
  layers: readonly LinearLayer[],
  config: VitConfig,
  { flat = false }: Spelling,
): ReadonlyMap<string, readonly number[]> {
  const { width, channels, patchSize, classes, heads } = config;
  const [rows, columns] = patchGrid(config);
  const shapes = new Map<string, readonly number[]>();
  const module = (name: string, weight: readonly number[], bias: boolean): void => {
    shapes.set(`${name}.weight`, weight);
    if (bias) shapes.set(`${name}.bias`, [weight[0]!]);
  };
  const norm = (name: string, length = width): void => module(name, [length], config.norm === "layer");

  if (config.classToken) shapes.set(names.classToken, flat ? [width] : [1, 1, width]);
  if (config.distillationToken) shapes.set(names.distillationToken, [1, 1, width]);
  if (config.registers > 0) shapes.set(names.registers, [1, config.registers, width]);
  if (config.positions !== "none") {
    const table = [positionedPrefix(config) + rows * columns, width];
    shapes.set(names.positionEmbedding, flat ? table : [1, ...table]);
  }
  module(names.patchEmbedding, [width, channels, ...patchSize], config.patchBias);
  if (config.patchNorm) norm(names.patchNorm);
  if (config.embeddingNorm) norm(names.embeddingNorm);
  for (const block of names.blocks) {
    norm(block.norm1);
    norm(block.norm2);
    if (config.qkNorm)
      for (const name of [block.attention.queryNorm, block.attention.keyNorm]) norm(name, width / heads);
    if (config.attentionNorm) norm(block.attention.norm);
    if (config.mlpNorm) norm(block.mlpNorm, config.hidden);
    if (config.layerScale) for (const name of [block.layerScale1, block.layerScale2]) shapes.set(name, [width]);
  }
  if (config.pool === "map") {
    const { latent, attention, norm: poolNorm } = names.attentionPool;
    shapes.set(latent, [1, 1, width]);
    if ("packed" in attention) {
      shapes.set(`${attention.packed}_weight`, [3 * width, width]);
      shapes.set(`${attention.packed}_bias`, [3 * width]);
    }
    norm(poolNorm);
  }
  for (const layer of layers) module(layer.name, [layer.out, layer.in], layer.bias);
  if (config.finalNorm !== "none") norm(names.finalNorm);
  if (classes > 0)
    for (const { name, in: from, out } of headLayers(names, config, classes)) module(name, [out, from], true);
  return shapes;
}

/** Linear layers of a head for so many classes: one, or one for each of class and distillation token. */
export function headLayers(names: VitNames, config: VitConfig, classes: number): readonly HeadLayer[] {
  const layer = (name: string, from: number) => ({ name, in: from, out: classes, bias: true });
  return config.pool === "token-and-distillation"
    ? [layer(names.head, config.width), layer(names.distillationHead, config.width)]
    : [layer(names.head, featureWidth(config))];
}
