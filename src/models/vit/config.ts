import { GloraError } from "../../base/errors.js";
import { Fields, type Size, throwProblems } from "../../formats/fields.js";
import { type Architecture, architectureOf, KNOWN_ARCHITECTURES } from "./architectures.js";

export type VitLibrary = "timm" | "transformers";

/** Erf GELU, its tanh approximation, and x·σ(1.702·x): they differ by 4e-4 in a small model's logits. */
export type VitActivation = "gelu" | "gelu_tanh" | "quick_gelu";

/** Everything that the forward pass of a ViT needs to know beside its weights. */
export interface VitConfig {
  /** Whose conventions hold: names of weights, and how position embeddings are resampled. */
  readonly library: VitLibrary;
  /** For messages and exports: timm's name, or transformers' class. */
  readonly architecture: string;
  /** Pixels. The patches that fit whole are used, as both libraries do. */
  readonly imageSize: Size;
  readonly patchSize: Size;
  readonly channels: number;
  /** Embedding dimension. */
  readonly width: number;
  /** Encoder blocks. */
  readonly depth: number;
  readonly heads: number;
  /** Dimension inside the MLP. */
  readonly hidden: number;
  readonly qkvBias: boolean;
  readonly activation: VitActivation;
  /** Added to the variance by every LayerNorm. */
  readonly epsilon: number;
  /** What the head sees: the class token, or the mean of the patch tokens (a class token left out). */
  readonly pool: "token" | "avg";
  /** The last norm: of every token in front of pooling, or of the pooled features. */
  readonly finalNorm: "norm" | "fc_norm";
  readonly classToken: boolean;
  /** Outputs of the head; 0: there is no head. */
  readonly classes: number;
  /** One name a class, in order, where the config gives all of them. */
  readonly labels?: readonly string[];
  /** The loss of the model's own library; transformers takes one class for a regression. */
  readonly loss: "cross-entropy" | "mse";
}

/** Patches along [height, width]. */
export const patchGrid = ({ imageSize: [h, w], patchSize: [ph, pw] }: VitConfig): Size => [
  Math.floor(h / ph),
  Math.floor(w / pw),
];

/**
 * Reads a ViT's config.json: transformers' (`model_type` "vit"), a timm hub config (`architecture`), or a file that states
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

/** The facts that a config file must state where it names neither an architecture nor a `model_type`. */
const FACTS = [
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

/** The error for a folder without config.json: what a file given in its stead must say. */
export function missingConfig(folder: string): GloraError {
  return new GloraError(
    "CONFIG",
    `${folder}: has no config.json, and no weight shows heads, activation, eps or pooling. Give them with --config FILE, ` +
      `a JSON file with either "architecture" (${KNOWN_ARCHITECTURES}; "model_args" override what it implies), ` +
      `or all of ${FACTS.join(", ")} and num_labels (0: no head).`,
    { folder, facts: FACTS },
  );
}

// ---- transformers

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
};

/** Fields and defaults of ViTConfig (transformers 5.23). Those of the pooler and of mask modelling play no part here. */
function parseTransformers(fields: Fields, file: string, library: VitLibrary): VitConfig {
  const modelType = fields.text("model_type", "vit");
  throwProblems("CONFIG", file, fields.problems);
  if (modelType !== "vit") {
    throw new GloraError("MODEL", `${file}: model_type "${modelType}" is not supported; "vit" is.`, {
      file,
      modelType,
    });
  }
  if (!fields.has("model_type")) {
    for (const fact of FACTS) if (!fields.has(fact)) fields.refuse(fact, "is missing");
    if (!fields.has("id2label") && !fields.has("num_labels")) fields.refuse("num_labels", "is missing (0: no head)");
  }
  const architecture = modelClass(fields, file);
  const width = fields.natural("hidden_size", 768);
  const heads = fields.natural("num_attention_heads", 12);
  if (fields.has("head_dim") && fields.raw("head_dim") !== width / heads) {
    fields.refuse("head_dim", `is not supported unless it is hidden_size / num_attention_heads (${width / heads})`);
  }
  if (fields.has("quantization_config")) fields.refuse("quantization_config", "quantized weights are not supported");
  const labels = architecture === "ViTModel" ? [] : transformersLabels(fields);
  return {
    library,
    architecture,
    imageSize: fields.size("image_size", [224, 224]),
    patchSize: fields.size("patch_size", [16, 16]),
    channels: fields.natural("num_channels", 3),
    width,
    depth: fields.natural("num_hidden_layers", 12),
    heads,
    hidden: fields.natural("intermediate_size", 3072),
    qkvBias: fields.boolean("qkv_bias", true),
    activation: fields.choice("hidden_act", "gelu", TRANSFORMERS_ACTIVATIONS),
    epsilon: fields.positive("layer_norm_eps", 1e-12),
    pool: "token",
    finalNorm: "norm",
    classToken: true,
    classes: labels.length,
    ...(labels.length > 0 ? { labels } : {}),
    loss: fields.choice("problem_type", labels.length === 1 ? "regression" : "single_label_classification", {
      single_label_classification: "cross-entropy",
      regression: "mse",
    } as const),
  };
}

function modelClass(fields: Fields, file: string): string {
  const classes = fields.raw("architectures");
  const name: unknown = Array.isArray(classes) && classes.length > 0 ? classes[0] : "ViTForImageClassification";
  if (name === "ViTForImageClassification" || name === "ViTModel") return name;
  const known = "ViTForImageClassification and ViTModel are";
  throw new GloraError("MODEL", `${file}: architecture ${JSON.stringify(name)} is not supported; ${known}.`, { file });
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

// ---- timm

const TIMM_ACTIVATIONS: Readonly<Record<string, VitActivation>> = {
  gelu: "gelu",
  gelu_tanh: "gelu_tanh",
  quick_gelu: "quick_gelu",
};

/** Arguments of timm's VisionTransformer that are read below. */
const READ_ARGS = [
  ...["img_size", "patch_size", "in_chans", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "act_layer"],
  ...["norm_layer", "global_pool", "class_token", "fc_norm", "num_classes"],
];

/** Arguments without effect on the forward pass of evaluation at the model's own image size. */
const INERT_ARGS = [
  ...["drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"],
  ...["weight_init", "fix_init", "dynamic_img_size", "strict_img_size"],
];

/** Arguments that need what is not built here, unless they have these values, timm's defaults. */
const DEFAULT_ARGS: Readonly<Record<string, unknown>> = {
  qk_norm: false,
  scale_attn_norm: false,
  scale_mlp_norm: false,
  proj_bias: true,
  pos_embed: "learn",
  no_embed_class: false,
  reg_tokens: 0,
  pre_norm: false,
  final_norm: true,
  pool_include_prefix: false,
  dynamic_img_pad: false,
  use_naflex: false,
};

function parseTimm(fields: Fields, file: string): VitConfig {
  const name = fields.text("architecture");
  throwProblems("CONFIG", file, fields.problems);
  const published = timmPublished(fields);
  const implied = architectureOf(name, published.text("tag", ""));
  if (implied === undefined) {
    throw new GloraError(
      "MODEL",
      `${file}: the architecture "${name}" is not known: it may need what a plain ViT lacks. Known: ${KNOWN_ARCHITECTURES}. ` +
        `For a plain ViT of another shape, name one of these and give its "model_args".`,
      { file, architecture: name },
    );
  }
  const args = fields.object("model_args");
  checkArgs(args);
  const width = args.natural("embed_dim", implied.width);
  const pool = args.choice("global_pool", timmPool(fields, args), { token: "token", avg: "avg" } as const);
  const classToken = args.boolean("class_token", true);
  if (pool === "token" && !classToken) args.refuse("class_token", 'false needs global_pool "avg"');
  args.choice("norm_layer", "layernorm", { layernorm: true });
  const inputSize = timmInputSize(published, implied);
  const classes = [fields, published].reduceRight(
    (fallback, level) => level.natural("num_classes", fallback, 0),
    implied.classes,
  );
  const config: VitConfig = {
    library: "timm",
    architecture: name,
    imageSize: args.size("img_size", isFlexible(args, published) ? [224, 224] : inputSize.image),
    patchSize: args.size("patch_size", [implied.patchSize, implied.patchSize]),
    channels: args.natural("in_chans", inputSize.channels),
    width,
    depth: args.natural("depth", implied.depth),
    heads: args.natural("num_heads", implied.heads),
    hidden: Math.trunc(width * args.positive("mlp_ratio", 4)),
    qkvBias: args.boolean("qkv_bias", true),
    activation: args.choice("act_layer", "gelu", TIMM_ACTIVATIONS),
    epsilon: 1e-6,
    pool,
    finalNorm: args.boolean("fc_norm", pool === "avg") ? "fc_norm" : "norm",
    classToken,
    classes: args.natural("num_classes", classes, 0),
    loss: "cross-entropy",
  };
  const labels = timmLabels(fields, published, config.classes);
  return labels === undefined ? config : { ...config, labels };
}

/** What timm says of the published weights; in configs of old, at the root itself. */
export const timmPublished = (fields: Fields): Fields =>
  fields.has("pretrained_cfg") ? fields.object("pretrained_cfg") : fields;

function checkArgs(args: Fields): void {
  for (const key of args.keys) {
    if (!args.has(key) || READ_ARGS.includes(key) || INERT_ARGS.includes(key)) continue;
    if (!Object.hasOwn(DEFAULT_ARGS, key)) args.refuse(key, "is not supported");
    else if (args.raw(key) !== DEFAULT_ARGS[key])
      args.refuse(key, `only ${JSON.stringify(DEFAULT_ARGS[key])} is supported`);
  }
}

/** The pooling that the root states holds for the weights, though timm itself reads only model_args. */
function timmPool(fields: Fields, args: Fields): string {
  const root = fields.text("global_pool", "token");
  if (args.has("global_pool") && fields.has("global_pool") && args.raw("global_pool") !== root) {
    args.refuse("global_pool", `contradicts the "${root}" at the root of the file`);
  }
  return root;
}

export function timmInputSize(published: Fields, implied: Architecture): { channels: number; image: Size } {
  const { imageSize } = implied;
  const [channels = 3, height, width, ...rest] = published.numbers("input_size", [3, imageSize, imageSize]);
  const whole = [channels, height, width].every((n) => Number.isSafeInteger(n) && Number(n) > 0);
  if (whole && rest.length === 0) return { channels, image: [height!, width!] };
  published.refuse("input_size", "[channels, height, width] is expected");
  return { channels: 3, image: [imageSize, imageSize] };
}

/** A model of flexible image size is built for 224 pixels unless img_size says otherwise, whatever size it was published for. */
export const isFlexible = (args: Fields, published: Fields): boolean =>
  args.boolean("dynamic_img_size", false) ||
  !args.boolean("strict_img_size", true) ||
  !published.boolean("fixed_input_size", true);

function timmLabels(fields: Fields, published: Fields, classes: number): readonly string[] | undefined {
  const level = fields.has("label_names") ? fields : published;
  const names = level.raw("label_names");
  if (names === undefined) return undefined;
  if (!Array.isArray(names)) return labelsById(level, "label_names", false);
  if (names.length === classes && names.every((name) => typeof name === "string")) return names;
  level.refuse("label_names", `${classes} texts are expected (num_classes), not a list of ${names.length}`);
  return undefined;
}

/** Labels of an object { "0": name, … }; undefined if ids are missing, which is a problem only if all are `required`. */
function labelsById(fields: Fields, key: string, required: boolean): string[] | undefined {
  const byId = fields.object(key);
  const labels = byId.keys.map((_, i) => (byId.has(`${i}`) || required ? byId.text(`${i}`) : undefined));
  return labels.every((label) => label !== undefined) ? labels : undefined;
}
