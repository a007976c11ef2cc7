/** A ViT's config.json in transformers' terms. */
import { GloraError } from "../../base/errors.js";
import { type Fields, throwProblems } from "../../formats/fields.js";
import { PLAIN_VIT, patchGrid, type VitActivation, type VitConfig, type VitLibrary } from "./config.js";
import { labelsById } from "./labels.js";

/** The facts that a config file must state where it names neither an architecture nor a `model_type`. */
export const TRANSFORMERS_FACTS = [
  "image_size",
  "patch_size",
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "intermediate_size",
  "hidden_act",
  "layer_norm_eps",
  "qkv_bias",
];

/** Spellings of transformers.activations.ACT2FN. */
const TRANSFORMERS_ACTIVATIONS: Readonly<Record<string, VitActivation>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_accurate: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  gelu_python_tanh: "gelu_tanh",
  quick_gelu: "quick_gelu",
  silu: "silu",
  swish: "silu",
  relu: "relu",
};

type Parts = Partial<VitConfig>;

/** A `model_type`, and where it departs from a plain ViT. */
interface Family {
  /** Its classes; of those without a head, what they give is the library's `pooler_output`. The first is meant by a config that names none. */
  readonly classes: Readonly<Record<string, Parts>>;
  /** What a model without a head becomes when it gets one. */
  readonly classifier: { readonly modelType: string; readonly architecture: string };
  readonly parts?: Parts;
  readonly defaults?: { readonly patchSize?: number; readonly activation?: string; readonly epsilon?: number };
  /** The fields of the vision model stand in `vision_config`, beside those of a model of text. */
  readonly nested?: true;
  /** Position embeddings are taken for those of a square, whatever `image_size` says. */
  readonly square?: true;
  /** The MLP's size is given by `mlp_ratio`. */
  readonly byRatio?: true;
}

/** Logits are of the class token and the mean of the patches, both behind the last norm. */
const TOKEN_AND_MEAN: Parts = { pool: "token-and-avg" };
/** Of the mean of the patches, behind the last norm. */
const MEAN: Parts = { pool: "avg" };
/** Of the mean of the patches as the last block leaves them: CLIP's `post_layernorm` is for the class token alone. */
const RAW_MEAN: Parts = { pool: "avg", finalNorm: "none" };
const ATTENTION_POOL: Parts = { pool: "map" };

const VIT = { modelType: "vit", architecture: "ViTForImageClassification" };

const DINOV2 = {
  defaults: { patchSize: 14, epsilon: 1e-6 },
  square: true,
  byRatio: true,
} as const;

const CLIP = {
  classifier: { modelType: "clip", architecture: "CLIPForImageClassification" },
  parts: { embeddingNorm: true, patchBias: false },
  defaults: { patchSize: 32, activation: "quick_gelu", epsilon: 1e-5 },
  square: true,
} as const;

const SIGLIP = {
  classifier: { modelType: "siglip", architecture: "SiglipForImageClassification" },
  parts: { classToken: false },
  defaults: { activation: "gelu_pytorch_tanh", epsilon: 1e-6 },
  square: true,
} as const;

/** @see transformers 5.23, models/{vit,vit_msn,vit_mae,ijepa,deit,dinov2,dinov2_with_registers,clip,siglip}: configuration and modeling */
const FAMILIES: Readonly<Record<string, Family>> = {
  vit: { classes: { ViTForImageClassification: {}, ViTModel: {} }, classifier: VIT },
  vit_msn: {
    classes: { ViTMSNForImageClassification: {}, ViTMSNModel: {} },
    classifier: { modelType: "vit_msn", architecture: "ViTMSNForImageClassification" },
    defaults: { epsilon: 1e-6 },
  },
  // Every patch is shown, as for fine-tuning: nothing is masked. Its encoder with a head is a ViT.
  vit_mae: { classes: { ViTMAEModel: {}, ViTMAEForPreTraining: {} }, classifier: VIT },
  ijepa: {
    classes: { IJepaForImageClassification: MEAN, IJepaModel: MEAN },
    classifier: { modelType: "ijepa", architecture: "IJepaForImageClassification" },
    parts: { classToken: false },
  },
  deit: {
    classes: {
      DeiTForImageClassification: {},
      DeiTForImageClassificationWithTeacher: { pool: "token-and-distillation" },
      DeiTModel: {},
    },
    classifier: { modelType: "deit", architecture: "DeiTForImageClassification" },
    parts: { distillationToken: true },
  },
  dinov2: {
    ...DINOV2,
    classes: { Dinov2ForImageClassification: TOKEN_AND_MEAN, Dinov2Model: {} },
    classifier: { modelType: "dinov2", architecture: "Dinov2ForImageClassification" },
    parts: { layerScale: true },
  },
  dinov2_with_registers: {
    ...DINOV2,
    classes: { Dinov2WithRegistersForImageClassification: TOKEN_AND_MEAN, Dinov2WithRegistersModel: {} },
    classifier: { modelType: "dinov2_with_registers", architecture: "Dinov2WithRegistersForImageClassification" },
    parts: { layerScale: true, positions: "class-and-patches" },
    defaults: { patchSize: 16, epsilon: 1e-6 },
  },
  clip: { ...CLIP, classes: { CLIPModel: {}, CLIPForImageClassification: RAW_MEAN }, nested: true },
  clip_vision_model: { ...CLIP, classes: { CLIPVisionModel: {}, CLIPVisionModelWithProjection: {} } },
  siglip: { ...SIGLIP, classes: { SiglipModel: ATTENTION_POOL, SiglipForImageClassification: MEAN }, nested: true },
  siglip_vision_model: { ...SIGLIP, classes: { SiglipVisionModel: ATTENTION_POOL } },
};

/** `model_type`s of the configs that are read here. */
export const TRANSFORMERS_VITS = Object.keys(FAMILIES);

const HAS_HEAD = /ForImageClassification/;

/**
 * Fields and defaults of the families' configs. Those of the pooler of a plain ViT, of mask modelling, of projections and of
 * text play no part.
 */
export function parseTransformers(fields: Fields, file: string, library: VitLibrary): VitConfig {
  const modelType = fields.text("model_type", "vit");
  throwProblems("CONFIG", file, fields.problems);
  const family = Object.hasOwn(FAMILIES, modelType) ? FAMILIES[modelType] : undefined;
  if (family === undefined) {
    throw new GloraError(
      "MODEL",
      `${file}: model_type "${modelType}" is not supported. Known: ${TRANSFORMERS_VITS.join(", ")}.`,
      { file, modelType },
    );
  }
  if (!fields.has("model_type")) {
    for (const fact of TRANSFORMERS_FACTS) if (!fields.has(fact)) fields.refuse(fact, "is missing");
    if (!fields.has("id2label") && !fields.has("num_labels")) fields.refuse("num_labels", "is missing (0: no head)");
  }
  const architecture = modelClass(fields, family, file);
  const vision = family.nested ? visionFields(fields) : fields;
  const { patchSize = 16, activation = "gelu", epsilon = 1e-12 } = family.defaults ?? {};
  const width = vision.natural("hidden_size", 768);
  const heads = vision.natural("num_attention_heads", 12);
  if (vision.has("head_dim") && vision.raw("head_dim") !== width / heads) {
    vision.refuse("head_dim", `is not supported unless it is hidden_size / num_attention_heads (${width / heads})`);
  }
  for (const level of [fields, vision])
    if (level.has("quantization_config")) level.refuse("quantization_config", "quantized weights are not supported");
  const labels = HAS_HEAD.test(architecture) ? transformersLabels(fields) : [];
  const config: VitConfig = {
    library,
    architecture,
    imageSize: vision.size("image_size", [224, 224]),
    patchSize: vision.size("patch_size", [patchSize, patchSize]),
    channels: vision.natural("num_channels", 3),
    width,
    depth: vision.natural("num_hidden_layers", 12),
    heads,
    ...PLAIN_VIT,
    qkvBias: hasQkvFlag(family) ? vision.boolean("qkv_bias", true) : true,
    activation: vision.choice("hidden_act", activation, TRANSFORMERS_ACTIVATIONS),
    epsilon: vision.positive("layer_norm_eps", epsilon),
    ...family.parts,
    ...(family.parts?.positions === "class-and-patches" && { registers: vision.natural("num_register_tokens", 4, 0) }),
    ...(family.byRatio ? mlpByRatio(vision, width) : { hidden: vision.natural("intermediate_size", 3072) }),
    ...family.classes[architecture],
    ...(architecture.startsWith("Siglip") && !vision.boolean("vision_use_head", true) && MEAN),
    classes: labels.length,
    ...(labels.length > 0 ? { labels } : {}),
    loss: fields.choice("problem_type", labels.length === 1 ? "regression" : "single_label_classification", {
      single_label_classification: "cross-entropy",
      regression: "mse",
    } as const),
  };
  const shape = shapeProblem(config);
  if (shape !== undefined) vision.refuse("image_size", shape);
  return config;
}

/** CLIP's and SigLIP's queries, keys and values always have biases. */
const hasQkvFlag = ({ classifier }: Family): boolean => !["clip", "siglip"].includes(classifier.modelType);

/** A config of old says the same a second time as `vision_config_dict`, which is the one that the library heeds. */
const visionFields = (fields: Fields): Fields =>
  fields.object(fields.has("vision_config_dict") ? "vision_config_dict" : "vision_config");

/** SwiGLU keeps two thirds of what the ratio says, in eights. */
function mlpByRatio(fields: Fields, width: number): Parts & Pick<VitConfig, "hidden"> {
  const hidden = Math.trunc(width * fields.positive("mlp_ratio", 4));
  return fields.boolean("use_swiglu_ffn", false)
    ? { mlp: "gated", activation: "silu", hidden: Math.floor((Math.trunc((hidden * 2) / 3) + 7) / 8) * 8 }
    : { hidden };
}

/** Why transformers could not read a model of this image size; undefined if it can. */
export function shapeProblem(config: VitConfig): string | undefined {
  const [[height, width], [rows, columns]] = [config.imageSize, patchGrid(config)];
  if (!familyOf(config).square || height === width || rows === columns) return undefined;
  return `transformers reads ${config.architecture} for square images alone, not for ${height} × ${width} pixels`;
}

/** A model's config once it has a new head: what had none becomes the class that has, which may pool in another way. */
export function asClassifier(config: VitConfig): VitConfig {
  if (config.library === "timm" || HAS_HEAD.test(config.architecture)) return config;
  const { modelType, architecture } = familyOf(config).classifier;
  return { ...config, architecture, ...FAMILIES[modelType]!.classes[architecture] };
}

/** The `model_type` of a class, and whether the vision model's fields stand in a config of their own. */
export function modelTypeOf(config: VitConfig): { modelType: string; nested: boolean } {
  const [modelType, { nested = false }] = Object.entries(FAMILIES).find(([, { classes }]) =>
    Object.hasOwn(classes, config.architecture),
  )!;
  return { modelType, nested };
}

const familyOf = (config: VitConfig): Family => FAMILIES[modelTypeOf(config).modelType]!;

function modelClass(fields: Fields, { classes }: Family, file: string): string {
  const known = Object.keys(classes);
  const named = fields.raw("architectures");
  const name: unknown = Array.isArray(named) && named.length > 0 ? named[0] : known[0];
  if (typeof name === "string" && Object.hasOwn(classes, name)) return name;
  throw new GloraError(
    "MODEL",
    `${file}: architecture ${JSON.stringify(name)} is not supported. Known: ${known.join(", ")}.`,
    { file },
  );
}

/** More names than any head has would fill the memory before the weights are looked at. */
const MOST_LABELS = 1_000_000;

/** `num_labels` is not written by transformers; two labels with the default names are not written at all. */
function transformersLabels(fields: Fields): string[] {
  if (fields.has("id2label")) return labelsById(fields, "id2label", true) ?? [];
  const count = fields.natural("num_labels", 2, 0);
  if (count <= MOST_LABELS) return Array.from({ length: count }, (_, i) => `LABEL_${i}`);
  fields.refuse("num_labels", `at most ${MOST_LABELS} is expected, not ${count}`);
  return [];
}
