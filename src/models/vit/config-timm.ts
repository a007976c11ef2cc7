/** A ViT's config.json in timm's terms. */
import { GloraError } from "../../base/errors.js";
import { Fields, type Size, throwProblems } from "../../formats/fields.js";
import { type Architecture, architectureOf, knownArchitectures } from "./architectures.js";
import { REFUSED_ARCHITECTURES } from "./architectures-table.js";
import { PLAIN_VIT, type VitActivation, type VitConfig } from "./config.js";
import { labelsById } from "./labels.js";

const ACTIVATIONS: Readonly<Record<string, VitActivation>> = {
  gelu: "gelu",
  gelu_tanh: "gelu_tanh",
  quick_gelu: "quick_gelu",
  silu: "silu",
  swish: "silu",
  relu: "relu",
};

type Norm = Pick<VitConfig, "norm" | "epsilon">;

/** Those that model_args can name. */
const NORMS: Readonly<Record<string, Norm>> = {
  layernorm: { norm: "layer", epsilon: 1e-6 },
  rmsnorm: { norm: "rms", epsilon: 1e-6 },
};

/** And those that names of architectures imply besides. */
const IMPLIED_NORMS: Readonly<Record<string, Norm>> = {
  ...NORMS,
  "layernorm-1e-5": { norm: "layer", epsilon: 1e-5 },
  "rmsnorm-1e-5": { norm: "rms", epsilon: 1e-5 },
};

const POOLS = { token: "token", avg: "avg", max: "max", avgmax: "avgmax", map: "map", prr: "prr" } as const;

const MLPS = { Mlp: "plain", SwiGLUPacked: "gated", SwiGLU: "gated-apart" } as const;

const BLOCKS = { Block: "pre", ResPostBlock: "res-post" } as const;

/** Arguments of timm's VisionTransformer that are read below. */
const READ_ARGS = [
  ...[
    "img_size",
    "patch_size",
    "in_chans",
    "num_classes",
    "global_pool",
    "embed_dim",
    "depth",
    "num_heads",
    "mlp_ratio",
  ],
  ...["qkv_bias", "qk_norm", "scale_attn_norm", "scale_mlp_norm", "proj_bias", "init_values", "class_token"],
  ...["pos_embed", "no_embed_class", "reg_tokens", "pre_norm", "final_norm", "fc_norm", "pool_include_prefix"],
  ...["norm_layer", "embed_norm_layer", "act_layer"],
];

/** Arguments without effect on the forward pass of evaluation at the model's own image size. */
const INERT_ARGS = [
  ...["drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"],
  ...["weight_init", "fix_init", "dynamic_img_size", "strict_img_size"],
];

/** Arguments that need what is not built here, unless they have these values, timm's defaults. */
const DEFAULT_ARGS: Readonly<Record<string, unknown>> = {
  dynamic_img_pad: false,
  use_naflex: false,
  attn_layer: "attn",
};

export function parseTimm(fields: Fields, file: string): VitConfig {
  const name = fields.text("architecture");
  throwProblems("CONFIG", file, fields.problems);
  const published = timmPublished(fields);
  const implied = architectureOf(name, published.text("tag", ""));
  if (implied === undefined) throw unknownArchitecture(name, file);
  const args = timmArgs(fields, implied);
  checkArgs(fields.object("model_args"));

  const width = args.natural("embed_dim", 768);
  const hidden = Math.trunc(width * args.positive("mlp_ratio", 4));
  const pool = poolOf(fields, args);
  const classToken = args.boolean("class_token", true);
  if (pool === "token" && !classToken) args.refuse("class_token", "false needs another global_pool than token");
  const mlp = args.choice("mlp_layer", "Mlp", MLPS);
  const blockNorm = args.choice("block_fn", "Block", BLOCKS);
  const { norm, epsilon } = args.choice("norm_layer", "layernorm", IMPLIED_NORMS);
  const normedPool = pool === "avg" || pool === "max" || pool === "avgmax";
  const fcNorm = args.boolean("fc_norm", normedPool);
  const preNorm = args.boolean("pre_norm", false);
  const inputSize = timmInputSize(published, implied);
  const classes = [fields, published].reduceRight(
    (fallback, level) => level.natural("num_classes", fallback, 0),
    implied.classes,
  );
  const config: VitConfig = {
    library: "timm",
    architecture: name,
    imageSize: args.size("img_size", isFlexible(fields, published) ? [224, 224] : inputSize.image),
    patchSize: args.size("patch_size", [16, 16]),
    channels: args.natural("in_chans", inputSize.channels),
    width,
    depth: args.natural("depth", 12),
    heads: args.natural("num_heads", 12),
    hidden: mlp === "gated" ? Math.trunc(hidden / 2) : hidden,
    ...PLAIN_VIT,
    patchBias: !preNorm,
    patchNorm: patchNorm(args, { norm, epsilon }),
    classToken,
    registers: args.natural("reg_tokens", 0, 0),
    positions: args.choice("pos_embed", "learn", { learn: true, none: false, "": false })
      ? args.boolean("no_embed_class", false)
        ? "patches"
        : "all"
      : "none",
    embeddingNorm: preNorm,
    norm,
    epsilon,
    blockNorm,
    qkvBias: args.boolean("qkv_bias", true),
    qkNorm: args.boolean("qk_norm", false),
    attentionNorm: args.boolean("scale_attn_norm", false),
    mlpNorm: args.boolean("scale_mlp_norm", false),
    projectionBias: args.boolean("proj_bias", true),
    // Its initial value; blocks with norms behind their branches take it for these.
    layerScale: args.has("init_values") && blockNorm === "pre",
    mlp,
    activation: args.choice("act_layer", "gelu", ACTIVATIONS),
    pool,
    poolPrefix: pool === "prr" || args.boolean("pool_include_prefix", false),
    finalNorm: !args.boolean("final_norm", true) ? "none" : fcNorm ? "fc_norm" : "norm",
    classes: args.natural("num_classes", classes, 0),
    loss: "cross-entropy",
  };
  const distilled = implied.args["distilled"] === true ? withDistillation(config, args) : config;
  const labels = timmLabels(fields, published, config.classes);
  if (labels !== undefined) return { ...distilled, labels };
  const tag = name.split(".")[1] ?? published.text("tag", "");
  // timm's tags end with the data that the head was trained on.
  return config.classes === 1000 && /(?:^|_)in1k$/.test(tag) ? { ...distilled, labelSet: "imagenet-1k" } : distilled;
}

function unknownArchitecture(name: string, file: string): GloraError {
  const [architecture = ""] = name.split(".");
  const part = Object.hasOwn(REFUSED_ARCHITECTURES, architecture) && REFUSED_ARCHITECTURES[architecture];
  const why = part
    ? `the architecture "${name}" needs timm's ${part}, which is not supported.`
    : `the architecture "${name}" is not known: it may need what is not built here.`;
  return new GloraError(
    "MODEL",
    `${file}: ${why} For a ViT of another shape, name one that is known and give its "model_args". ` +
      `Known:${knownArchitectures()}`,
    { file, architecture: name },
  );
}

/** What timm says of the published weights; in configs of old, at the root itself. */
export const timmPublished = (fields: Fields): Fields =>
  fields.has("pretrained_cfg") ? fields.object("pretrained_cfg") : fields;

/** `model_args` over what the name implies, as timm's own functions lay them over each other. */
function timmArgs(fields: Fields, implied: Architecture): Fields {
  const given = fields.raw("model_args");
  return new Fields({ ...implied.args, ...(given as object | undefined) }, fields.problems, "model_args.");
}

function checkArgs(args: Fields): void {
  for (const key of args.keys) {
    if (!args.has(key) || READ_ARGS.includes(key) || INERT_ARGS.includes(key)) continue;
    if (!Object.hasOwn(DEFAULT_ARGS, key)) args.refuse(key, "is not supported");
    else if (args.raw(key) !== DEFAULT_ARGS[key])
      args.refuse(key, `only ${JSON.stringify(DEFAULT_ARGS[key])} is supported`);
  }
  for (const key of ["norm_layer", "embed_norm_layer"]) args.choice(key, "layernorm", NORMS);
  if (args.has("init_values")) args.positive("init_values");
}

/** The pooling that the root states holds for the weights, though timm itself reads only model_args. */
function poolOf(fields: Fields, args: Fields): VitConfig["pool"] {
  const given = fields.object("model_args");
  const atRoot = fields.text("global_pool", "");
  if (given.has("global_pool") && atRoot && given.raw("global_pool") !== atRoot) {
    args.refuse("global_pool", `contradicts the "${atRoot}" at the root of the file`);
  }
  const from = given.has("global_pool") || !atRoot ? args : fields;
  return from.choice("global_pool", "token", POOLS);
}

/** A norm of the patches; norms of two kinds in one model are none that timm names. */
function patchNorm(args: Fields, { norm, epsilon }: Norm): boolean {
  if (!args.has("embed_norm_layer")) return false;
  const own = args.choice("embed_norm_layer", "layernorm", IMPLIED_NORMS);
  if (own.norm !== norm || own.epsilon !== epsilon) args.refuse("embed_norm_layer", "must be the norm_layer");
  return true;
}

/** DeiT's class VisionTransformerDistilled. @see timm 1.0.31, models/deit.py */
function withDistillation(config: VitConfig, args: Fields): VitConfig {
  if (config.pool !== "token") args.refuse("global_pool", "a distilled model has token");
  if (config.positions !== "all") args.refuse("no_embed_class", "a distilled model has positions for all tokens");
  if (config.registers !== 0) args.refuse("reg_tokens", "a distilled model has 0");
  if (config.finalNorm === "fc_norm") args.refuse("fc_norm", "a distilled model has none");
  return { ...config, distillationToken: true, pool: "token-and-distillation" };
}

export function timmInputSize(published: Fields, implied: Architecture): { channels: number; image: Size } {
  const { imageSize } = implied;
  const [channels = 3, height, width, ...rest] = published.numbers("input_size", [3, imageSize, imageSize]);
  const whole = [channels, height, width].every((n) => Number.isSafeInteger(n) && Number(n) > 0);
  if (whole && rest.length === 0) return { channels, image: [height!, width!] };
  published.refuse("input_size", "[channels, height, width] is expected");
  return { channels: 3, image: [imageSize, imageSize] };
}

/**
 * A model whose model_args ask for a flexible image size is built for 224 pixels unless img_size says otherwise, whatever
 * size it was published for. @see timm 1.0.31, models/_hub.py `_parse_model_cfg`
 */
export function isFlexible(fields: Fields, published: Fields): boolean {
  const given = fields.object("model_args");
  return (
    given.boolean("dynamic_img_size", false) ||
    !given.boolean("strict_img_size", true) ||
    !published.boolean("fixed_input_size", true)
  );
}

function timmLabels(fields: Fields, published: Fields, classes: number): readonly string[] | undefined {
  const level = fields.has("label_names") ? fields : published;
  const names = level.raw("label_names");
  if (names === undefined) return undefined;
  if (!Array.isArray(names)) return labelsById(level, "label_names", false);
  if (names.length === classes && names.every((name) => typeof name === "string")) return names;
  level.refuse("label_names", `${classes} texts are expected (num_classes), not a list of ${names.length}`);
  return undefined;
}
