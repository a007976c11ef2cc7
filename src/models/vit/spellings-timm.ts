import type { Spelling } from "./spelling.js";

/** @see timm 1.0.31, models/vision_transformer.py, models/deit.py, layers/{attention,attention_pool,mlp}.py */
export const TIMM_SPELLING: Spelling = {
  library: "timm",
  sign: "patch_embed.proj.weight",
  names: {
    patchEmbedding: "patch_embed.proj",
    patchNorm: "patch_embed.norm",
    classToken: "cls_token",
    distillationToken: "dist_token",
    registers: "reg_token",
    positionEmbedding: "pos_embed",
    embeddingNorm: "norm_pre",
    norm: "norm",
    fc_norm: "fc_norm",
    attentionPool: {
      latent: "attn_pool.latent",
      attention: { query: "attn_pool.q", keyValue: "attn_pool.kv", projection: "attn_pool.proj" },
      norm: "attn_pool.norm",
      fc1: "attn_pool.mlp.fc1",
      fc2: "attn_pool.mlp.fc2",
    },
    head: "head",
    distillationHead: "head_dist",
  },
  block: {
    norm1: "blocks.#.norm1",
    attention: {
      qkv: "blocks.#.attn.qkv",
      queryNorm: "blocks.#.attn.q_norm",
      keyNorm: "blocks.#.attn.k_norm",
      norm: "blocks.#.attn.norm",
      projection: "blocks.#.attn.proj",
    },
    layerScale1: "blocks.#.ls1.gamma",
    norm2: "blocks.#.norm2",
    fc1: "blocks.#.mlp.fc1",
    gate: "blocks.#.mlp.fc1_g",
    up: "blocks.#.mlp.fc1_x",
    mlpNorm: "blocks.#.mlp.norm",
    fc2: "blocks.#.mlp.fc2",
    layerScale2: "blocks.#.ls2.gamma",
  },
  unused: /^pre_logits\./, // a tanh layer of old checkpoints; timm has none, and drops it
};
