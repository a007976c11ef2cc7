/**
 * transformers' names. A model with a head has the bare model's name in front of all but the head ("vit.", "deit.", …); the
 * bare model itself has none.
 * @see transformers 5.23, conversion_mapping.py: the file keeps the names of version 4, modules in memory have new ones
 */
import type { AttentionNames, BlockNames } from "./names.js";
import { mapNames, type Spelling } from "./spelling.js";

/** Of parts that no model of transformers here has. */
const ABSENT = "";
const NO_NORMS = { queryNorm: ABSENT, keyNorm: ABSENT, norm: ABSENT };

type Names = Spelling["names"];

/** A family's names in front of which a prefix may stand, and those of heads. */
interface Layout {
  readonly names: Omit<Names, "head" | "distillationHead">;
  /** Tensors behind the prefix that play no part, or not in every model. */
  readonly unused: RegExp;
  /** The same of whole names. */
  readonly unusedBeside?: RegExp;
  readonly flat?: true;
}

const spelling = (layout: Layout, prefix: string, sign: string, block: BlockNames, head = "classifier"): Spelling => {
  const inside = <T>(names: T): T => mapNames(names, (name) => prefix + name);
  return {
    library: "transformers",
    sign,
    names: { ...inside(layout.names), head, distillationHead: "distillation_classifier" },
    block: inside(block),
    ...(layout.flat && { flat: true }),
    unused: new RegExp(
      `^${prefix.replace(".", "\\.")}(?:${layout.unused.source})|${layout.unusedBeside?.source ?? "(?!)"}`,
    ),
  };
};

// ---- ViT, ViT-MSN, ViT-MAE, I-JEPA, DeiT, DINOv2

const EMBEDDINGS = {
  patchEmbedding: "embeddings.patch_embeddings.projection",
  patchNorm: ABSENT,
  classToken: "embeddings.cls_token",
  distillationToken: "embeddings.distillation_token",
  registers: "embeddings.register_tokens",
  positionEmbedding: "embeddings.position_embeddings",
  embeddingNorm: ABSENT,
  norm: "layernorm",
  fc_norm: ABSENT,
  attentionPool: {
    latent: ABSENT,
    attention: { packed: ABSENT, projection: ABSENT },
    norm: ABSENT,
    fc1: ABSENT,
    fc2: ABSENT,
  },
};

const attentionOnDisk = (block: string): AttentionNames => ({
  query: `${block}.attention.attention.query`,
  key: `${block}.attention.attention.key`,
  value: `${block}.attention.attention.value`,
  ...NO_NORMS,
  projection: `${block}.attention.output.dense`,
});

const attentionInMemory = (block: string): AttentionNames => ({
  query: `${block}.attention.q_proj`,
  key: `${block}.attention.k_proj`,
  value: `${block}.attention.v_proj`,
  ...NO_NORMS,
  projection: `${block}.attention.o_proj`,
});

const VIT: Layout = {
  names: EMBEDDINGS,
  unused: /pooler\.|embeddings\.mask_token$/,
  unusedBeside: /^decoder\./, // of ViT-MAE
};

const vitBlock = (block: string, attention: AttentionNames, fc1: string, fc2: string): BlockNames => ({
  norm1: `${block}.layernorm_before`,
  attention,
  layerScale1: ABSENT,
  norm2: `${block}.layernorm_after`,
  fc1,
  gate: ABSENT,
  up: ABSENT,
  mlpNorm: ABSENT,
  fc2,
  layerScale2: ABSENT,
});

const [DISK, MEMORY] = [attentionOnDisk("encoder.layer.#"), attentionInMemory("encoder.layer.#")];

const VIT_ON_DISK = vitBlock(
  "encoder.layer.#",
  DISK,
  "encoder.layer.#.intermediate.dense",
  "encoder.layer.#.output.dense",
);
const VIT_IN_MEMORY = vitBlock("layers.#", attentionInMemory("layers.#"), "layers.#.mlp.fc1", "layers.#.mlp.fc2");
const DINOV2: Layout = {
  names: EMBEDDINGS,
  unused: /embeddings\.(?:mask_token|register_tokens)$/, // no registers: a tensor of no elements
};

const dinov2Block = (attention: AttentionNames, fc1: string, fc2: string): BlockNames => ({
  norm1: "encoder.layer.#.norm1",
  attention,
  layerScale1: "encoder.layer.#.layer_scale1.lambda1",
  norm2: "encoder.layer.#.norm2",
  fc1: `encoder.layer.#.mlp.${fc1}`,
  gate: ABSENT,
  up: ABSENT,
  mlpNorm: ABSENT,
  fc2: `encoder.layer.#.mlp.${fc2}`,
  layerScale2: "encoder.layer.#.layer_scale2.lambda1",
});

// ---- CLIP, SigLIP

const CLIP: Layout = {
  names: {
    patchEmbedding: "embeddings.patch_embedding",
    patchNorm: ABSENT,
    classToken: "embeddings.class_embedding",
    distillationToken: ABSENT,
    registers: ABSENT,
    positionEmbedding: "embeddings.position_embedding.weight",
    embeddingNorm: "pre_layrnorm", // sic
    norm: "post_layernorm",
    fc_norm: ABSENT,
    attentionPool: {
      latent: "head.probe",
      attention: { packed: "head.attention.in_proj", projection: "head.attention.out_proj" },
      norm: "head.layernorm",
      fc1: "head.mlp.fc1",
      fc2: "head.mlp.fc2",
    },
  },
  unused: /post_layernorm\.|head\./, // the mean of the patches goes past norm and head
  unusedBeside: /^text_model\.|^text_projection\.|^visual_projection\.|^logit_scale$|^logit_bias$/,
  flat: true,
};

const CLIP_BLOCK: BlockNames = {
  norm1: "encoder.layers.#.layer_norm1",
  attention: {
    query: "encoder.layers.#.self_attn.q_proj",
    key: "encoder.layers.#.self_attn.k_proj",
    value: "encoder.layers.#.self_attn.v_proj",
    ...NO_NORMS,
    projection: "encoder.layers.#.self_attn.out_proj",
  },
  layerScale1: ABSENT,
  norm2: "encoder.layers.#.layer_norm2",
  fc1: "encoder.layers.#.mlp.fc1",
  gate: ABSENT,
  up: ABSENT,
  mlpNorm: ABSENT,
  fc2: "encoder.layers.#.mlp.fc2",
  layerScale2: ABSENT,
};

const vitSpellings = (...prefixes: readonly string[]): Spelling[] =>
  prefixes.flatMap((prefix) => [
    spelling(VIT, prefix, `${prefix}encoder.layer.0.layernorm_before.weight`, VIT_ON_DISK),
    spelling(VIT, prefix, `${prefix}layers.0.layernorm_before.weight`, VIT_IN_MEMORY),
  ]);

const dinov2Spellings = (...prefixes: readonly string[]): Spelling[] =>
  prefixes.flatMap((prefix) => {
    const block = `${prefix}encoder.layer.0`;
    return [
      spelling(DINOV2, prefix, `${block}.mlp.weights_in.weight`, dinov2Block(DISK, "weights_in", "weights_out")),
      spelling(DINOV2, prefix, `${block}.attention.attention.query.weight`, dinov2Block(DISK, "fc1", "fc2")),
      spelling(DINOV2, prefix, `${block}.attention.q_proj.weight`, dinov2Block(MEMORY, "fc1", "fc2")),
    ];
  });

const clipSpellings = (...prefixes: readonly string[]): Spelling[] =>
  prefixes.map((prefix) => spelling(CLIP, prefix, `${prefix}encoder.layers.0.layer_norm1.weight`, CLIP_BLOCK));

/** In the order in which their signs are looked for. */
export const TRANSFORMERS_SPELLINGS: readonly Spelling[] = [
  ...vitSpellings("vit."),
  // DeiT with a teacher has two heads.
  spelling(VIT, "deit.", "cls_classifier.weight", VIT_ON_DISK, "cls_classifier"),
  ...vitSpellings("deit.", "ijepa."),
  // ViT-MSN with a head, as transformers 5.23 writes it: blocks alone have lost their "vit.".
  { ...spelling(VIT, "vit.", "vit.embeddings.cls_token", VIT_ON_DISK), block: VIT_ON_DISK },
  ...vitSpellings(""),
  ...dinov2Spellings("dinov2.", "dinov2_with_registers.", ""),
  ...clipSpellings("vision_model.", ""),
];
