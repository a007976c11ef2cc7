import { GloraError } from "../../base/errors.js";
import { Fields, type Size, throwProblems } from "../../formats/fields.js";
import type { LabelSet } from "../parts.js";
import { parseTimm } from "./config-timm.js";
import { parseTransformers, TRANSFORMERS_FACTS } from "./config-transformers.js";

export type VitLibrary = "timm" | "transformers";

/** Erf GELU, its tanh approximation, and x·σ(1.702·x) differ by 4e-4 in a small model's logits. */
export type VitActivation = "gelu" | "gelu_tanh" | "quick_gelu" | "silu" | "relu";

/** Which tokens get a position embedding. Token order is class, distillation, registers, patches. */
export type VitPositions =
  /** Every token. */
  | "all"
  /** Patches alone: the tokens in front of them join afterwards (timm's `no_embed_class`). */
  | "patches"
  /** Class token and patches: registers join afterwards (transformers' DINOv2 with registers). */
  | "class-and-patches"
  | "none";

/**
 * What the head sees: the class token; the mean or maximum of the patches, or half the sum of both; what an attention
 * pooling (arXiv:1810.00825) takes from all tokens; the class token, or else the mean, of what tokens mixed by their own
 * likeness are (timm's AttentionPoolPrr, without weights); the class token and the mean of the patches side by side; class
 * and distillation token, each for a head of its own.
 */
export type VitPool = "token" | "avg" | "max" | "avgmax" | "map" | "prr" | "token-and-avg" | "token-and-distillation";

/** Everything that the forward pass of a ViT needs to know beside its weights. */
export interface VitConfig {
  /** Whose conventions hold: names of weights, and how position embeddings are resampled. */
  readonly library: VitLibrary;
  /** For messages and exports: timm's name, or transformers' class. */
  readonly architecture: string;
  /** Pixels. The patches that fit whole are used, as all libraries do. */
  readonly imageSize: Size;
  readonly patchSize: Size;
  readonly channels: number;
  /** Embedding dimension. */
  readonly width: number;
  /** Encoder blocks. */
  readonly depth: number;
  readonly heads: number;
  /** Dimension inside the MLP; of a gated one that of each half. */
  readonly hidden: number;

  readonly patchBias: boolean;
  /** A norm of the projected patches, in front of everything else. */
  readonly patchNorm: boolean;
  readonly classToken: boolean;
  /** DeiT's second token, behind the class token. */
  readonly distillationToken: boolean;
  /** Register tokens (arXiv:2309.16588). */
  readonly registers: number;
  readonly positions: VitPositions;
  /** A norm between embedding and first block (CLIP). */
  readonly embeddingNorm: boolean;

  /** LayerNorm, or RMSNorm (arXiv:1910.07467), everywhere. */
  readonly norm: "layer" | "rms";
  /** Norms in front of attention and MLP, or behind them inside the residual branch (timm's ResPostBlock). */
  readonly blockNorm: "pre" | "res-post";
  readonly qkvBias: boolean;
  /** Biases of attention's output and of both layers of the MLP. */
  readonly projectionBias: boolean;
  /** Norms of each head's queries and keys. */
  readonly qkNorm: boolean;
  /** A norm of what attention mixes, in front of its output layer; and of what is inside the MLP. */
  readonly attentionNorm: boolean;
  readonly mlpNorm: boolean;
  /** A learned factor for every channel of both residual branches (arXiv:2103.17239). */
  readonly layerScale: boolean;
  /**
   * Plain: act(x·W₁)·W₂. Gated (SwiGLU where act is SiLU): (act(x·W_gate) ⊙ x·W_up)·W₂, gate and up in one layer
   * [gate; up], or in two.
   */
  readonly mlp: "plain" | "gated" | "gated-apart";
  readonly activation: VitActivation;
  /** Added to the variance by every norm. */
  readonly epsilon: number;

  readonly pool: VitPool;
  /** Pooling over tokens takes those in front of the patches too. */
  readonly poolPrefix: boolean;
  /** The last norm: of every token in front of pooling, of the pooled features, or none. */
  readonly finalNorm: "norm" | "fc_norm" | "none";
  /** Outputs of the head; 0: there is no head. */
  readonly classes: number;
  /** One name a class, in order, where the config gives all of them. */
  readonly labels?: readonly string[];
  /** Of a config without labels: the classes that it implies. */
  readonly labelSet?: LabelSet;
  /** The loss of the model's own library; transformers takes one class for a regression. */
  readonly loss: "cross-entropy" | "mse";
}

/** What a plain ViT has, from which the others depart. */
export const PLAIN_VIT = {
  patchBias: true,
  patchNorm: false,
  classToken: true,
  distillationToken: false,
  registers: 0,
  positions: "all",
  embeddingNorm: false,
  norm: "layer",
  blockNorm: "pre",
  qkvBias: true,
  projectionBias: true,
  qkNorm: false,
  attentionNorm: false,
  mlpNorm: false,
  layerScale: false,
  mlp: "plain",
  activation: "gelu",
  pool: "token",
  poolPrefix: false,
  finalNorm: "norm",
} as const satisfies Partial<VitConfig>;

/** Tokens in front of the patches. */
export const prefixTokens = (c: Pick<VitConfig, "classToken" | "distillationToken" | "registers">): number =>
  Number(c.classToken) + Number(c.distillationToken) + c.registers;

/** Of these, those with a position embedding of their own, which stand first in its table. */
export const positionedPrefix = (c: VitConfig): number =>
  c.positions === "all" ? prefixTokens(c) : c.positions === "class-and-patches" ? Number(c.classToken) : 0;

/** Width of what the head sees. */
export const featureWidth = ({ pool, width }: VitConfig): number =>
  pool === "token-and-avg" || pool === "token-and-distillation" ? 2 * width : width;

/** Patches along [height, width]. */
export const patchGrid = ({ imageSize: [h, w], patchSize: [ph, pw] }: VitConfig): Size => [
  Math.floor(h / ph),
  Math.floor(w / pw),
];

/**
 * Reads a ViT's config.json: transformers' (`model_type`), a timm hub config (`architecture`), or a file that states
 * every fact itself (see {@link missingConfig}).
 *
 * @param file    for messages
 * @param library whose names the weights carry; only asked for where the file itself does not say
 * @throws {GloraError} "MODEL" for an architecture that is not known, "CONFIG" with all problems of the fields at once
 */
export function parseVitConfig(config: unknown, file: string, library: VitLibrary = "transformers"): VitConfig {
  const fields = new Fields(config);
  const parsed = fields.has("architecture")
    ? parseTimm(fields, file)
    : parseTransformers(fields, file, fields.has("model_type") ? "transformers" : library);
  if (parsed.width % parsed.heads !== 0) {
    fields.problems.push(`a width of ${parsed.width} cannot be shared by ${parsed.heads} heads`);
  }
  if (patchGrid(parsed).includes(0)) {
    fields.problems.push(`patches of ${parsed.patchSize} pixels do not fit into an image of ${parsed.imageSize}`);
  }
  throwProblems("CONFIG", file, fields.problems);
  return parsed;
}

/** The error for a folder without config.json: what a file given in its stead must say. */
export function missingConfig(folder: string): GloraError {
  return new GloraError(
    "CONFIG",
    `${folder}: has no config.json, and no weight shows heads, activation, eps or pooling. Give them with --config FILE, ` +
      `a JSON file with either "architecture" (timm's name, such as vit_base_patch16_224; "model_args" override what it ` +
      `implies), or all of ${TRANSFORMERS_FACTS.join(", ")} and num_labels (0: no head).`,
    { folder, facts: TRANSFORMERS_FACTS },
  );
}
