import type { ImagePreprocessing } from "../data/image-spec.js";
import type { Interpolation } from "../data/resample.js";
import { Fields, type Size, throwProblems } from "../formats/fields.js";
import { architectureOf } from "./vit/architectures.js";
import { isFlexible, timmInputSize, timmPublished, type VitConfig } from "./vit/config.js";

/** JSON files of a model's folder that may say how its images are prepared. */
export interface PreprocessingFiles {
  /** config.json, parsed. */
  readonly config: unknown;
  /** preprocessor_config.json, parsed, if there is one. */
  readonly preprocessor?: unknown;
}

/**
 * How images are prepared for a ViT: timm's own `pretrained_cfg`, else preprocessor_config.json, else what the library does
 * by default (timm: what the architecture's name implies; transformers: ViTImageProcessor at the model's image size).
 *
 * @param folder for messages
 * @throws {GloraError} "CONFIG" with all problems of the file at once
 */
export function imagePreprocessing(files: PreprocessingFiles, model: VitConfig, folder: string): ImagePreprocessing {
  const config = new Fields(files.config);
  const published = timmPublished(config);
  const ofTimm = model.library === "timm" && config.has("architecture");
  if (ofTimm && (files.preprocessor === undefined || published.has("mean") || published.has("crop_pct"))) {
    return fromTimm(config, published, model, `${folder}/config.json`);
  }
  return fromPreprocessorConfig(files.preprocessor ?? {}, model, `${folder}/preprocessor_config.json`);
}

// ---- timm

const INTERPOLATIONS: Readonly<Record<string, Interpolation>> = {
  bicubic: "bicubic",
  bilinear: "bilinear",
  nearest: "nearest",
  lanczos: "lanczos",
};

/** @see timm 1.0.31, data/config.py `resolve_data_config`, data/transforms_factory.py `transforms_imagenet_eval` */
function fromTimm(config: Fields, published: Fields, model: VitConfig, file: string): ImagePreprocessing {
  const implied = architectureOf(model.architecture, published.text("tag", ""))!;
  const { channels } = model;
  const flexible = isFlexible(config.object("model_args"), published);
  const [height, width] = flexible ? timmInputSize(published, implied).image : model.imageSize;
  const share = published.positive("crop_pct", implied.cropShare);
  const [tall, wide] = [Math.floor(height / share), Math.floor(width / share)];
  const squash = published.choice("crop_mode", "center", { center: false, squash: true });
  const preprocessing: ImagePreprocessing = {
    kind: "image",
    resize: squash
      ? { mode: "exact", height: tall, width: wide }
      : tall === wide
        ? { mode: "shortest-edge", edge: tall }
        : { mode: "cover", height: tall, width: wide },
    crop: { height, width },
    interpolation: published.choice("interpolation", "bicubic", INTERPOLATIONS),
    rescale: 1 / 255,
    mean: perChannel(published.numbers("mean", implied.mean), channels),
    std: perChannel(deviations(published, "std", implied.std), channels),
    channels,
  };
  throwProblems("CONFIG", file, published.problems);
  return preprocessing;
}

/** Values are divided by them. */
function deviations(fields: Fields, key: string, fallback: readonly number[]): readonly number[] {
  const values = fields.numbers(key, fallback);
  const wrong = values.find((value) => value <= 0);
  if (wrong !== undefined) fields.refuse(key, `positive numbers are expected, not ${wrong}`);
  return values;
}

/** One number a channel; where the count differs, their mean for each, as timm does. */
function perChannel(values: readonly number[], channels: number): readonly number[] {
  if (values.length === channels) return values;
  return Array<number>(channels).fill(values.reduce((sum, value) => sum + value, 0) / values.length);
}

// ---- transformers

/** Codes of PIL's resampling filters. */
const PIL_CODES = { 0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic" } as const;

/** What the image processors say where the file does not. */
const PROCESSORS: Readonly<Record<string, { resample: string; size?: Size; crop?: Size }>> = {
  ViT: { resample: "2" },
  DeiT: { resample: "3", size: [256, 256], crop: [224, 224] },
};

/** @see transformers 5.23, image_processing_backends.py and models/{vit,deit}/image_processing_*.py */
function fromPreprocessorConfig(json: unknown, model: VitConfig, file: string): ImagePreprocessing {
  const fields = new Fields(json);
  const type = fields.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  const name = fields.text(type, "ViTImageProcessor");
  const known = /^(ViT|DeiT)(?:ImageProcessor|FeatureExtractor)(?:Fast|Pil)?$/.exec(name)?.[1];
  if (known === undefined)
    fields.refuse(type, `"${name}" is not supported; ViTImageProcessor and DeiTImageProcessor are`);
  const defaults = PROCESSORS[known ?? "ViT"]!;
  const { channels } = model;
  if (!fields.boolean("do_resize", true)) fields.refuse("do_resize", "only true is supported");
  if (fields.boolean("do_pad", false)) fields.refuse("do_pad", "only false is supported");
  const cropped = fields.boolean("do_center_crop", defaults.crop !== undefined);
  const normalized = fields.boolean("do_normalize", true);
  const preprocessing: ImagePreprocessing = {
    kind: "image",
    resize: targetSize(fields, defaults.size ?? model.imageSize),
    ...(cropped ? { crop: { ...edges(fields, "crop_size", defaults.crop), rounding: "down" } } : {}),
    interpolation: fields.choice<Interpolation>("resample", defaults.resample, PIL_CODES),
    rescale: fields.boolean("do_rescale", true) ? fields.positive("rescale_factor", 1 / 255) : 1,
    mean: normalized
      ? channelValues(fields, "image_mean", channels, fields.numbers("image_mean", [0.5]))
      : Array<number>(channels).fill(0),
    std: normalized
      ? channelValues(fields, "image_std", channels, deviations(fields, "image_std", [0.5]))
      : Array<number>(channels).fill(1),
    channels,
  };
  throwProblems("CONFIG", file, fields.problems);
  return preprocessing;
}

function targetSize(fields: Fields, fallback: Size): ImagePreprocessing["resize"] {
  const size = fields.raw("size");
  if (typeof size === "object" && size !== null && "shortest_edge" in size) {
    const inside = fields.object("size");
    if (inside.has("longest_edge")) inside.refuse("longest_edge", "is not supported beside shortest_edge");
    return { mode: "shortest-edge", edge: inside.natural("shortest_edge") };
  }
  return { mode: "exact", ...edges(fields, "size", fallback) };
}

/** A size as transformers writes it: { height, width }, or one number or a pair in files of old. */
function edges(fields: Fields, key: string, fallback?: Size): { height: number; width: number } {
  const value = fields.raw(key);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const inside = fields.object(key);
    return { height: inside.natural("height"), width: inside.natural("width") };
  }
  const [height, width] = fields.size(key, fallback);
  return { height, width };
}

function channelValues(fields: Fields, key: string, channels: number, values: readonly number[]): readonly number[] {
  if (values.length === channels) return values;
  if (values.length === 1) return Array<number>(channels).fill(values[0]!);
  fields.refuse(key, `${channels} numbers are expected (one a channel), not ${values.length}`);
  return values;
}

/** A preprocessor_config.json, and in which respect it can only come close. */
export interface PreprocessorConfig {
  readonly config: Readonly<Record<string, unknown>>;
  /** What the format cannot say, as a sentence. */
  readonly departure?: string;
}

/** The preprocessor_config.json that says the same to transformers and transformers.js. */
export function toPreprocessorConfig(p: ImagePreprocessing): PreprocessorConfig {
  const { resize, crop } = p;
  const size =
    resize.mode === "shortest-edge" ? { shortest_edge: resize.edge } : { height: resize.height, width: resize.width };
  const config = {
    image_processor_type: "ViTImageProcessor",
    do_resize: true,
    size,
    resample: Number(Object.entries(PIL_CODES).find(([, name]) => name === p.interpolation)![0]),
    do_center_crop: crop !== undefined,
    ...(crop ? { crop_size: { height: crop.height, width: crop.width } } : {}),
    do_rescale: true,
    rescale_factor: p.rescale,
    do_normalize: true,
    image_mean: p.mean,
    image_std: p.std,
  };
  const departure = departureOf(p);
  return departure === undefined ? { config } : { config, departure };
}

function departureOf({ resize, crop }: ImagePreprocessing): string | undefined {
  if (resize.mode === "cover") {
    return (
      `preprocessor_config.json cannot say that an image keeps its shape and covers ${resize.height} × ${resize.width} ` +
      `pixels; it will be stretched to that size.`
    );
  }
  if (resize.mode === "shortest-edge" && crop !== undefined && crop.rounding !== "down") {
    return "Where the centre crop's margin is odd, transformers cuts half a pixel beside timm.";
  }
  return undefined;
}
