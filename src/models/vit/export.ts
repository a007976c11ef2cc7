/** What a ViT's folder says once its head or biases have changed: the library's own fields, the rest as it was. */
import { GloraError } from "../../base/errors.js";
import type { Size } from "../../formats/fields.js";
import type { ExportOptions, ExportSpec, Head } from "../model.js";
import type { VitConfig } from "./config.js";
import { modelTypeOf, shapeProblem } from "./config-transformers.js";

export interface VitToExport {
  readonly config: VitConfig;
  /** config.json as it was read. */
  readonly rawConfig: Json;
  readonly head: Head | undefined;
  readonly labels: readonly string[] | undefined;
  /** For another image size than config.json says. */
  readonly resized: boolean;
}

type Json = Readonly<Record<string, unknown>>;

export function exportVit(model: VitToExport, o: ExportOptions): ExportSpec {
  const { config, rawConfig, head } = model;
  const ofTimm = config.library === "timm";
  const written = "architecture" in rawConfig ? timmConfig(model, o) : transformersConfig(model, o);
  return {
    config: written,
    ...(!ofTimm && config.classes === 0 && head && { rename: nameInClassifier(config, head) }),
    // transformers.js classifies images with a config of transformers alone, and not with every one of these.
    ...((ofTimm || (head && !KNOWN_TO_JS.has(written["model_type"]))) && { onnxConfig: transformersFacts(model) }),
  };
}

/** @see transformers.js 4, models/registry.js, `MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES` */
const KNOWN_TO_JS: ReadonlySet<unknown> = new Set([
  "vit",
  "vit_msn",
  "ijepa",
  "deit",
  "dinov2",
  "dinov2_with_registers",
]);

/** @see timm 1.0.31, models/_hub.py */
function timmConfig({ config, rawConfig, head, labels, resized }: VitToExport, { addedBiases }: ExportOptions): Json {
  const changed: Record<string, unknown> = { ...rawConfig };
  if (resized) {
    const { imageSize, channels } = config;
    changed["model_args"] = { ...(changed["model_args"] as object), img_size: oneOrTwo(imageSize) };
    const size = { input_size: [channels, ...imageSize] };
    if (isObject(changed["pretrained_cfg"])) changed["pretrained_cfg"] = { ...changed["pretrained_cfg"], ...size };
    else Object.assign(changed, size);
  }
  const published = changed["pretrained_cfg"];
  const args = changed["model_args"];
  if (head && !head.pretrained) {
    changed["num_classes"] = head.out;
    changed["label_names"] = labels;
    delete changed["label_descriptions"];
    if (isObject(published))
      changed["pretrained_cfg"] = {
        ...without(published, "label_names", "label_descriptions"),
        num_classes: head.out,
      };
    if (isObject(args)) changed["model_args"] = without(args, "num_classes");
  }
  if (addedBiases) changed["model_args"] = { ...(changed["model_args"] as object), qkv_bias: true };
  return changed;
}

const TORCH_DTYPES = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** @see transformers 5.23, models/{vit,clip,…}/configuration_*.py */
function transformersConfig({ config, rawConfig, head, labels, resized }: VitToExport, o: ExportOptions): Json {
  const { modelType, nested } = modelTypeOf(config);
  const kept = withoutWholeFloats(rawConfig);
  const changed: Record<string, unknown> = nested ? nestedConfig(kept) : { ...kept };
  const vision: Record<string, unknown> = {};
  if (resized) {
    const problem = shapeProblem(config);
    if (problem !== undefined)
      throw new GloraError("MODEL", `${problem}. Train it at a square --image-size.`, { imageSize: config.imageSize });
    vision["image_size"] = oneOrTwo(config.imageSize);
  }
  if (o.addedBiases) vision["qkv_bias"] = true;
  if (nested)
    for (const key of VISION_CONFIGS) if (isObject(changed[key])) changed[key] = { ...changed[key], ...vision };
  if (!nested) Object.assign(changed, vision);
  // A file that states every fact itself need not name its family; the library must find it.
  if (config.library === "transformers") changed["model_type"] = modelType;
  if (head && !head.pretrained) {
    changed["architectures"] = [config.architecture];
    Object.assign(changed, labelFields(head, labels));
    delete changed["num_labels"];
    // One output is a regression to the library, which refuses to be told otherwise.
    if (head.out === 1) delete changed["problem_type"];
    else if (config.loss !== "cross-entropy") changed["problem_type"] = "single_label_classification";
  }
  if (o.dtype) changed["torch_dtype" in rawConfig ? "torch_dtype" : "dtype"] = TORCH_DTYPES[o.dtype];
  return changed;
}

/** Numbers with a fraction by which transformers draws new weights. */
const INITIAL_VALUES = ["initializer_factor", "initializer_range", "layerscale_value"];

/** JavaScript writes 1.0 as 1, which transformers refuses for a fraction: where it would, its default serves as well. */
const withoutWholeFloats = (config: Json): Json =>
  Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) =>
      INITIAL_VALUES.includes(key) && Number.isInteger(value)
        ? []
        : [[key, key.includes("_config") && isObject(value) ? withoutWholeFloats(value) : value]],
    ),
  );

/** Where the fields of CLIP's vision model stand; the second in configs of old, beside the first. */
const VISION_CONFIGS = ["vision_config", "vision_config_dict"];

/** Fields that are those of the whole, wherever else they stand. */
const OUTER = ["architectures", "dtype", "torch_dtype", "transformers_version"];

/** The config of a whole in which that of a vision model stands; as it is where it does already. */
function nestedConfig(config: Json): Record<string, unknown> {
  if (VISION_CONFIGS.some((key) => key in config)) return { ...config };
  return {
    ...Object.fromEntries(Object.entries(config).filter(([key]) => OUTER.includes(key))),
    vision_config: without(config, ...OUTER),
  };
}

/** A ViT in transformers' terms, as far as transformers.js looks. */
const transformersFacts = ({ config, head, labels }: VitToExport): Json => ({
  architectures: [head ? "ViTForImageClassification" : "ViTModel"],
  model_type: "vit",
  image_size: oneOrTwo(config.imageSize),
  patch_size: oneOrTwo(config.patchSize),
  num_channels: config.channels,
  hidden_size: config.width,
  num_hidden_layers: config.depth,
  num_attention_heads: config.heads,
  intermediate_size: config.hidden,
  ...(head && labelFields(head, labels)),
});

const oneOrTwo = ([height, width]: Size): number | Size => (height === width ? height : [height, width]);

/** Where no names are known, those that the library gives. */
function labelFields(head: Head, labels: readonly string[] | undefined): Json {
  const names = labels ?? Array.from({ length: head.out }, (_, i) => `LABEL_${i}`);
  return {
    id2label: Object.fromEntries(names.map((label, i) => [i, label])),
    label2id: Object.fromEntries(names.map((label, i) => [label, i])),
  };
}

/** What a classifier calls the model inside it. */
const PREFIXES: Readonly<Record<string, string>> = {
  vit: "vit.",
  vit_msn: "vit.",
  ijepa: "ijepa.",
  deit: "deit.",
  dinov2: "dinov2.",
  dinov2_with_registers: "dinov2_with_registers.",
  clip: "vision_model.",
  siglip: "vision_model.",
};

/** Tensors of a model without a head that no classifier has: poolers, decoders, models of text, and masks but for DINOv2's. */
const LEFT_OUT =
  /^(?:vit\.|deit\.|ijepa\.)?pooler\.|^decoder\.|^text_(?:model|projection)\.|^visual_projection\.|^logit_(?:scale|bias)$|embeddings\.position_ids$/;

/** The name of a tensor in the classifier that a model without a head has become. */
function nameInClassifier(config: VitConfig, head: Head): (name: string) => string | undefined {
  const { modelType } = modelTypeOf(config);
  const prefix = PREFIXES[modelType]!;
  const hasMask = modelType.startsWith("dinov2");
  return (name) => {
    if (LEFT_OUT.test(name) || (!hasMask && name.endsWith("embeddings.mask_token"))) return undefined;
    const isHead = head.layers.some((layer) => name.startsWith(`${layer.name}.`));
    return isHead || name.startsWith(prefix) ? name : prefix + name;
  };
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;

const without = (object: Json, ...keys: string[]): Json =>
  Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
