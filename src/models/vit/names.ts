import type { TensorEntry } from "../../formats/safetensors.js";
import { checkDepth, checkTensors } from "../check-tensors.js";
import type { LinearLayer } from "../model.js";
import { patchGrid, type VitConfig, type VitLibrary } from "./config.js";

/** Checkpoint names of a ViT's parts: modules without ".weight" and ".bias", the two embeddings as they are. */
export interface VitNames {
  readonly patchEmbedding: string;
  /** In the checkpoint only where the config has a class token. */
  readonly classToken: string;
  readonly positionEmbedding: string;
  readonly blocks: readonly BlockNames[];
  readonly finalNorm: string;
  /** In the checkpoint only where the config has classes. */
  readonly head: string;
}

export interface BlockNames {
  readonly norm1: string;
  readonly attention: AttentionNames;
  readonly norm2: string;
  readonly fc1: string;
  readonly fc2: string;
}

/** timm computes query, key and value by one layer [3·width, width], transformers by three. */
export type AttentionNames =
  | { readonly qkv: string; readonly projection: string }
  | { readonly query: string; readonly key: string; readonly value: string; readonly projection: string };

/** What {@link checkVitTensors} found. */
export interface VitTensors {
  readonly names: VitNames;
  /** Every linear layer but the head, in the order of the forward pass. */
  readonly layers: readonly LinearLayer[];
}

/** A way of naming: how to tell it, and how it names. `#` stands for the number of a block. */
interface Spelling {
  readonly library: VitLibrary;
  /** A tensor that no other spelling holds. */
  readonly sign: string;
  readonly names: Omit<VitNames, "blocks" | "finalNorm"> & Readonly<Record<VitConfig["finalNorm"], string>>;
  readonly block: BlockNames;
  /** Tensors that play no part in the forward pass. */
  readonly ignored: RegExp;
}

const timm: Spelling = {
  library: "timm",
  sign: "patch_embed.proj.weight",
  names: {
    patchEmbedding: "patch_embed.proj",
    classToken: "cls_token",
    positionEmbedding: "pos_embed",
    norm: "norm",
    fc_norm: "fc_norm",
    head: "head",
  },
  block: {
    norm1: "blocks.#.norm1",
    attention: { qkv: "blocks.#.attn.qkv", projection: "blocks.#.attn.proj" },
    norm2: "blocks.#.norm2",
    fc1: "blocks.#.mlp.fc1",
    fc2: "blocks.#.mlp.fc2",
  },
  ignored: /^pre_logits\./, // a tanh layer of old checkpoints, which timm drops too
};

/** transformers' names, with "vit." in front of all but the head in a model with a head, without in the bare ViTModel. */
const transformers = (prefix: string, sign: string, block: BlockNames): Spelling => ({
  library: "transformers",
  sign: prefix + sign,
  names: {
    patchEmbedding: `${prefix}embeddings.patch_embeddings.projection`,
    classToken: `${prefix}embeddings.cls_token`,
    positionEmbedding: `${prefix}embeddings.position_embeddings`,
    norm: `${prefix}layernorm`,
    fc_norm: `${prefix}layernorm`,
    head: "classifier",
  },
  block: mapNames(block, (name) => prefix + name),
  ignored: /^(vit\.)?(pooler\.|embeddings\.mask_token$|embeddings\.position_ids$)/,
});

/** On disk, and in memory up to transformers 4. */
const onDisk: BlockNames = {
  norm1: "encoder.layer.#.layernorm_before",
  attention: {
    query: "encoder.layer.#.attention.attention.query",
    key: "encoder.layer.#.attention.attention.key",
    value: "encoder.layer.#.attention.attention.value",
    projection: "encoder.layer.#.attention.output.dense",
  },
  norm2: "encoder.layer.#.layernorm_after",
  fc1: "encoder.layer.#.intermediate.dense",
  fc2: "encoder.layer.#.output.dense",
};

/** In the memory of transformers 5: state dicts that were saved as they are. */
const inMemory: BlockNames = {
  norm1: "layers.#.layernorm_before",
  attention: {
    query: "layers.#.attention.q_proj",
    key: "layers.#.attention.k_proj",
    value: "layers.#.attention.v_proj",
    projection: "layers.#.attention.o_proj",
  },
  norm2: "layers.#.layernorm_after",
  fc1: "layers.#.mlp.fc1",
  fc2: "layers.#.mlp.fc2",
};

const SPELLINGS: readonly Spelling[] = [
  timm,
  ...["vit.", ""].flatMap((prefix) => [
    transformers(prefix, "encoder.layer.0.layernorm_before.weight", onDisk),
    transformers(prefix, "layers.0.layernorm_before.weight", inMemory),
  ]),
];

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
  const layers = names.blocks.flatMap((block) => linearLayers(block, config));
  const expected = expectedShapes(names, layers, config);

  checkTensors(tensors, expected, (name) => spelling.ignored.test(name), file, config.architecture);
  return { names, layers };
}

function namesOf({ names, block }: Spelling, config: VitConfig): VitNames {
  const { norm, fc_norm, ...others } = names;
  return {
    ...others,
    finalNorm: config.finalNorm === "fc_norm" ? fc_norm : norm,
    blocks: Array.from({ length: config.depth }, (_, i) => mapNames(block, (name) => name.replace("#", `${i}`))),
  };
}

function mapNames<T>(names: T, change: (name: string) => string): T {
  const entries = Object.entries(names as object).map(([part, name]) => [
    part,
    typeof name === "string" ? change(name) : mapNames(name, change),
  ]);
  return Object.fromEntries(entries);
}

function linearLayers({ attention, fc1, fc2 }: BlockNames, config: VitConfig): LinearLayer[] {
  const { width, hidden, qkvBias } = config;
  // `qkv_bias` of both libraries' configs can say that these get one.
  const mixing = { in: width, bias: qkvBias, addableBias: !qkvBias };
  const always = { bias: true, addableBias: false };
  const inputs =
    "qkv" in attention
      ? [{ name: attention.qkv, out: 3 * width, ...mixing }]
      : [attention.query, attention.key, attention.value].map((name) => ({ name, out: width, ...mixing }));
  return [
    ...inputs,
    { name: attention.projection, in: width, out: width, ...always },
    { name: fc1, in: width, out: hidden, ...always },
    { name: fc2, in: hidden, out: width, ...always },
  ];
}

/** Every tensor that the forward pass needs, in its order. */
function expectedShapes(
  names: VitNames,
  layers: readonly LinearLayer[],
  config: VitConfig,
): ReadonlyMap<string, readonly number[]> {
  const { width, channels, patchSize, classes, classToken } = config;
  const [rows, columns] = patchGrid(config);
  const shapes = new Map<string, readonly number[]>();
  const module = (name: string, weight: readonly number[], bias: boolean): void => {
    shapes.set(`${name}.weight`, weight);
    if (bias) shapes.set(`${name}.bias`, [weight[0]!]);
  };
  if (classToken) shapes.set(names.classToken, [1, 1, width]);
  shapes.set(names.positionEmbedding, [1, rows * columns + (classToken ? 1 : 0), width]);
  module(names.patchEmbedding, [width, channels, ...patchSize], true);
  for (const { norm1, norm2 } of names.blocks) for (const norm of [norm1, norm2]) module(norm, [width], true);
  for (const layer of layers) module(layer.name, [layer.out, layer.in], layer.bias);
  module(names.finalNorm, [width], true);
  if (classes > 0) module(names.head, [classes, width], true);
  return shapes;
}
