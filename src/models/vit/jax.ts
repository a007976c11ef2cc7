/** The original checkpoints of Vision Transformers, which JAX wrote (`ViT-B_16.npz`), in timm's names and layouts. */
import { GloraError } from "../../base/errors.js";
import { type Checkpoint, withoutTensors } from "../../formats/checkpoint.js";
import { throwProblems } from "../../formats/fields.js";
import { readBytes, type TensorEntry } from "../../formats/safetensors.js";
import { gather, madeEntry } from "../../formats/view.js";
import { parseVitConfig } from "./config.js";

export interface ConfigOfFile {
  readonly json: unknown;
  /** Where it stands, for messages. */
  readonly file: string;
}

/** In front of all names: nothing, or the place of the parameters in the state of a training run. */
const PREFIXES = ["", "opt/target/", "params/", "params/img/"];

const prefixOf = (tensors: ReadonlyMap<string, unknown>): string | undefined =>
  PREFIXES.find((prefix) => tensors.has(`${prefix}embedding/kernel`));

/** Whether a checkpoint carries the names of the original Vision Transformers. */
export const isJaxVit = ({ tensors }: Checkpoint): boolean => prefixOf(tensors) !== undefined;

/**
 * Reads an original checkpoint as timm does: kernels [in, out] become weights [out, in], query, key and value become one
 * layer, the layers of a scan ([depth, …]) become blocks. Rearranged tensors are made when they are asked for, and kept.
 *
 * The config, where none is given, is what the shapes say, in timm's terms; what no shape says is as timm has it for these
 * files: eps 1e-6, GELU by the error function, pixels scaled by mean and deviation 0.5. The tanh layer `pre_logits` of the
 * ImageNet-21k files is dropped, and with it the head that stands on it, as in timm's `orig_in21k`. A note of the checkpoint
 * names every tensor that is not used.
 *
 * @param given  of config.json; wins over the shapes
 * @param name   of the folder or file, for messages
 * @throws {GloraError} "MODEL" with every tensor that is missing or misshapen, or for a hybrid with convolutions
 * @see timm 1.0.31, models/vision_transformer.py, _load_weights
 */
export function fromJax(
  checkpoint: Checkpoint,
  given: ConfigOfFile | undefined,
  name: string,
): { readonly checkpoint: Checkpoint; readonly config: ConfigOfFile } {
  const jax = new JaxTensors(checkpoint.tensors, prefixOf(checkpoint.tensors)!);
  if (jax.has("conv_root/kernel"))
    throw new GloraError("MODEL", `${name}: is a hybrid of ResNet and ViT (conv_root), which is not read.`, { name });
  const facts = factsOf(jax);
  const classes = given ? parseVitConfig(given.json, given.file).classes : facts.classes;
  const tensors = new Map(timmTensors(jax, facts, classes > 0).map((entry) => [entry.name, entry]));
  throwProblems("MODEL", `${name}: not a whole checkpoint of a ViT`, jax.problems);
  const read = withoutTensors({ ...checkpoint, tensors }, name, jax.unused(), whyUnused(jax));
  return { checkpoint: read, config: given ?? { json: timmConfig(facts), file: name } };
}

const whyUnused = (jax: JaxTensors): string =>
  jax.has("pre_logits/kernel")
    ? "The tanh layer pre_logits is not part of timm's models; a head that was trained on it cannot be used without."
    : "";

/** What the shapes say. */
interface JaxFacts {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly hidden: number;
  readonly channels: number;
  readonly patchSize: readonly [number, number];
  /** Patches along each edge. */
  readonly grid: number;
  /** Of a head that can be used as it is; 0: none. */
  readonly classes: number;
  readonly classToken: boolean;
  /** The class token has a position of its own. */
  readonly classPosition: boolean;
  readonly pool: "token" | "avg" | "map";
  readonly names: JaxNames;
}

/** Spellings of the older files (vit_jax) and of big_vision, whose numbers count the layers of a block in another order. */
interface JaxNames {
  readonly positions: string;
  /** The layers of all blocks are one: [depth, …]. */
  readonly stacked: boolean;
  readonly attention: string;
  readonly mlp: string;
  readonly norm2: string;
}

/** The deepest ViT that was published has 56. */
const MOST_BLOCKS = 1024;

const STACKED = "Transformer/encoderblock/";
const FIRST_OF_STACKED = `${STACKED}LayerNorm_0/scale`;

function namesOf(jax: JaxTensors): JaxNames {
  const stacked = jax.has(FIRST_OF_STACKED);
  if (jax.prefix.startsWith("params/") || jax.has("pos_embedding") || stacked)
    return {
      positions: "pos_embedding",
      stacked,
      attention: "MultiHeadDotProductAttention_0",
      mlp: "MlpBlock_0",
      norm2: "LayerNorm_1",
    };
  return {
    positions: "Transformer/posembed_input/pos_embedding",
    stacked,
    attention: "MultiHeadDotProductAttention_1",
    mlp: "MlpBlock_3",
    norm2: "LayerNorm_2",
  };
}

function factsOf(jax: JaxTensors): JaxFacts {
  const names = namesOf(jax);
  const [rows, columns, channels, width] = jax.shape("embedding/kernel", 4);
  const block = names.stacked ? STACKED : `${STACKED.slice(0, -1)}_0/`;
  const more = names.stacked ? 1 : 0;
  const heads = jax.shape(`${block}${names.attention}/query/kernel`, 3 + more)[1 + more]!;
  const hidden = jax.shape(`${block}${names.mlp}/Dense_0/kernel`, 2 + more)[1 + more]!;
  const depth = names.stacked ? jax.shape(FIRST_OF_STACKED, 2)[0]! : jax.blocks();
  if (depth > MOST_BLOCKS)
    jax.problems.push(`misshapen: ${depth} blocks are more than the ${MOST_BLOCKS} that are read`);

  const classToken = jax.has("cls");
  const positions = jax.shape(names.positions, 3)[1]!;
  const classPosition = classToken && !Number.isInteger(Math.sqrt(positions));
  const grid = Math.sqrt(positions - Number(classPosition));
  if (!Number.isInteger(grid)) jax.problems.push(`misshapen: ${names.positions} has ${positions} places, no square`);
  const usable = jax.has("head/bias") && !jax.has("pre_logits/kernel");
  return {
    ...{
      width: width!,
      depth: Math.min(depth, MOST_BLOCKS),
      heads,
      hidden,
      channels: channels!,
      patchSize: [rows!, columns!],
      grid,
      names,
    },
    classes: usable ? jax.shape("head/bias", 1)[0]! : 0,
    ...{ classToken, classPosition },
    pool: jax.has("MAPHead_0/probe") ? "map" : classToken ? "token" : "avg",
  };
}

/** A hub config.json of timm that says everything itself; its architecture is the name of a plain ViT. */
function timmConfig(f: JaxFacts): Record<string, unknown> {
  const size = f.patchSize.map((edge) => edge * f.grid);
  const ratio = f.hidden / f.width;
  return {
    architecture: "vit_base_patch16_224",
    num_classes: f.classes,
    num_features: f.width,
    global_pool: f.pool,
    model_args: {
      img_size: size,
      patch_size: f.patchSize,
      in_chans: f.channels,
      embed_dim: f.width,
      depth: f.depth,
      num_heads: f.heads,
      // timm cuts width · ratio off to a whole number, which rounding must not bring below it.
      mlp_ratio: Number.isInteger(ratio) ? ratio : (f.hidden + 0.5) / f.width,
      global_pool: f.pool,
      ...(!f.classToken && { class_token: false }),
      ...(f.classToken && !f.classPosition && { no_embed_class: true }),
      ...(f.pool === "avg" && { fc_norm: false }),
    },
    pretrained_cfg: {
      num_classes: f.classes,
      input_size: [f.channels, ...size],
      crop_pct: Math.min(...size) < 384 ? 0.9 : 1,
      interpolation: "bicubic",
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      first_conv: "patch_embed.proj",
      classifier: "head",
    },
  };
}

function timmTensors(jax: JaxTensors, facts: JaxFacts, head: boolean): TensorEntry[] {
  const { names, width, hidden, channels, patchSize, depth } = facts;
  const [rows, columns] = patchSize;
  const norm = (name: string, from: string, block?: number): TensorEntry[] => [
    jax.plain(`${name}.weight`, `${from}/scale`, [width], block),
    jax.plain(`${name}.bias`, `${from}/bias`, [width], block),
  ];
  const linear = (name: string, from: readonly string[], into: number, out: number, block?: number): TensorEntry[] => [
    jax.joined(
      `${name}.weight`,
      from.map((part) => `${part}/kernel`),
      [from.length * out, into],
      block,
    ),
    jax.joined(
      `${name}.bias`,
      from.map((part) => `${part}/bias`),
      [from.length * out],
      block,
    ),
  ];
  const mlp = (name: string, from: string, block?: number): TensorEntry[] => [
    ...linear(`${name}.fc1`, [`${from}/Dense_0`], width, hidden, block),
    ...linear(`${name}.fc2`, [`${from}/Dense_1`], hidden, width, block),
  ];
  const blocks = Array.from({ length: depth }, (_, i): TensorEntry[] => {
    const from = names.stacked ? STACKED : `${STACKED.slice(0, -1)}_${i}/`;
    const layer = names.stacked ? i : undefined;
    const attention = `${from}${names.attention}`;
    const inputs = ["query", "key", "value"].map((part) => `${attention}/${part}`);
    return [
      ...norm(`blocks.${i}.norm1`, `${from}LayerNorm_0`, layer),
      ...linear(`blocks.${i}.attn.qkv`, inputs, width, width, layer),
      ...linear(`blocks.${i}.attn.proj`, [`${attention}/out`], width, width, layer),
      ...norm(`blocks.${i}.norm2`, `${from}${names.norm2}`, layer),
      ...mlp(`blocks.${i}.mlp`, `${from}${names.mlp}`, layer),
    ];
  });
  const pool = (): TensorEntry[] => {
    const attention = "MAPHead_0/MultiHeadDotProductAttention_0";
    const keyValue = ["key", "value"].map((part) => `${attention}/${part}`);
    return [
      jax.plain("attn_pool.latent", "MAPHead_0/probe", [1, 1, width]),
      ...linear("attn_pool.q", [`${attention}/query`], width, width),
      ...linear("attn_pool.kv", keyValue, width, width),
      ...linear("attn_pool.proj", [`${attention}/out`], width, width),
      ...norm("attn_pool.norm", "MAPHead_0/LayerNorm_0"),
      ...mlp("attn_pool.mlp", "MAPHead_0/MlpBlock_0"),
    ];
  };
  const tokens = facts.grid ** 2 + Number(facts.classPosition);
  return [
    ...(facts.classToken ? [jax.plain("cls_token", "cls", [1, 1, width])] : []),
    jax.plain("pos_embed", names.positions, [1, tokens, width]),
    jax.convolution("patch_embed.proj.weight", "embedding/kernel", [width, channels, rows, columns]),
    jax.plain("patch_embed.proj.bias", "embedding/bias", [width]),
    ...blocks.flat(),
    ...norm("norm", "Transformer/encoder_norm"),
    ...(facts.pool === "map" ? pool() : []),
    ...(head && jax.has("head/bias") ? linear("head", ["head"], width, jax.shape("head/bias", 1)[0]!) : []),
  ];
}

const elements = (shape: readonly number[]): number => shape.reduce((product, axis) => product * axis, 1);

/** The tensors of a checkpoint by JAX's names, and what is wrong with those that were asked for. */
class JaxTensors {
  readonly problems: string[] = [];
  private readonly used = new Set<string>();

  constructor(
    private readonly tensors: ReadonlyMap<string, TensorEntry>,
    readonly prefix: string,
  ) {}

  has(name: string): boolean {
    return this.tensors.has(this.prefix + name);
  }

  /** Names of those that no part was made of. */
  unused(): string[] {
    return [...this.tensors.keys()].filter((name) => !this.used.has(name));
  }

  /** How many blocks there are names of. */
  blocks(): number {
    const begin = `${this.prefix}${STACKED.slice(0, -1)}_`;
    const names = [...this.tensors.keys()].filter((name) => name.startsWith(begin));
    return new Set(names.map((name) => name.slice(begin.length).split("/")[0])).size;
  }

  /** Ones where there is no such tensor of so many axes. */
  shape(name: string, axes: number): readonly number[] {
    const shape = this.tensors.get(this.prefix + name)?.shape;
    if (shape?.length === axes && !shape.includes(0)) return shape;
    this.problems.push(
      shape ? `misshapen: ${name} [${shape}], ${axes} axes are expected` : `missing: ${this.prefix}${name}`,
    );
    return new Array<number>(axes).fill(1);
  }

  /** The bytes as they are: vectors, tokens, position embeddings. */
  plain(name: string, from: string, shape: readonly number[], block?: number): TensorEntry {
    return { ...this.part(from, elements(shape), block), name, shape };
  }

  /** One below the other: weights [out, in] of kernels [in, out], whose axes of heads may be two; or biases. */
  joined(name: string, from: readonly string[], shape: readonly number[], block?: number): TensorEntry {
    const parts = from.map((part) => this.part(part, elements(shape) / from.length, block));
    const { dtype, source } = parts[0]!;
    if (shape.length === 1 && parts.length === 1) return { ...parts[0]!, name, shape };
    if (parts.some((part) => part.dtype !== dtype)) this.problems.push(`${from.join(", ")} have different types`);
    const [rows, columns = 1] = [shape[0]! / from.length, shape[1]];
    return madeEntry({ name, dtype, shape }, source.name, async () => {
      const turned: Uint8Array[] = [];
      for (const part of parts) turned.push(gather(await readBytes(part), dtype, [rows, columns], [1, rows]));
      return concatenated(turned);
    });
  }

  /** A kernel [rows, columns, in, out] as a weight [out, in, rows, columns]. */
  convolution(name: string, from: string, shape: readonly [number, number, number, number]): TensorEntry {
    const [out, into, , columns] = shape;
    const entry = this.part(from, elements(shape));
    const strides = [1, out, columns * into * out, into * out];
    return madeEntry({ name, dtype: entry.dtype, shape }, entry.source.name, async () =>
      gather(await readBytes(entry), entry.dtype, shape, strides),
    );
  }

  /** A tensor of so many elements, or that of one block of the scan. */
  private part(name: string, count: number, block?: number): TensorEntry {
    this.used.add(this.prefix + name);
    const entry = this.tensors.get(this.prefix + name);
    const found = entry && elements(entry.shape);
    const blocks = block === undefined ? 1 : (entry?.shape[0] ?? 1);
    if (!entry || found !== count * blocks || (block ?? 0) >= blocks) {
      const expected = `${count} elements are expected${block === undefined ? "" : " in each block"}`;
      this.problems.push(entry ? `misshapen: ${name} [${entry.shape}], ${expected}` : `missing: ${this.prefix}${name}`);
      return { ...(entry ?? [...this.tensors.values()][0]!), shape: [0], length: 0 };
    }
    const length = entry.length / blocks;
    return { ...entry, offset: entry.offset + length * (block ?? 0), length };
  }
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}
