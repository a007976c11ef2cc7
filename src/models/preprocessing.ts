import type { ImagePreprocessing } from "../data/image-spec.js";
import type { Interpolation } from "../data/resample.js";
import { Fields, type Size, throwProblems } from "../formats/fields.js";
import { architectureOf } from "./vit/architectures.js";
import type { VitConfig } from "./vit/config.js";
import { isFlexible, timmInputSize, timmPublished } from "./vit/config-timm.js";

/** JSON files of a model's folder that may say how its images are prepared. */
export interface PreprocessingFiles {
  /** config.json, parsed. */
  readonly config: unknown;
  /** preprocessor_config.json, parsed, if there is one. */
  readonly preprocessor?: unknown;
}

/**
 * How images are prepared for a ViT: timm's own `pretrained_cfg`, else preprocessor_config.json, else what the library does
 * by default (timm: what the architecture's name implies; transformers: its family's image processor at the model's image size).
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
  const own = processorOf(config);
  const file = files.preprocessor ?? withoutFile(own, model.imageSize);
  return fromPreprocessorConfig(file, own, model, `${folder}/preprocessor_config.json`);
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
  const flexible = isFlexible(config, published);
  const [height, width] = flexible ? timmInputSize(published, implied).image : model.imageSize;
  const share = published.positive("crop_pct", implied.cropShare);
  const [tall, wide] = [Math.floor(height / share), Math.floor(width / share)];
  const squash = published.choice("crop_mode", implied.cropMode, { center: false, squash: true });
  const preprocessing: ImagePreprocessing = {
    kind: "image",
    resize: squash
      ? { mode: "exact", height: tall, width: wide }
      : tall === wide
        ? { mode: "shortest-edge", edge: tall }
        : { mode: "cover", height: tall, width: wide },
    crop: { height, width },
    interpolation: published.choice("interpolation", implied.interpolation, INTERPOLATIONS),
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

/** An image processor: what it says where the file does not. */
interface Processor {
  readonly resample: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Pixels of one edge. */
  readonly size?: number;
  /** A size given as one number is that of the shorter edge. */
  readonly shortest?: true;
  readonly crop?: number;
}

const [HALF, CLIP_MEAN, CLIP_STD] = [[0.5], [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]];

const CLIP_PROCESSOR: Processor = {
  ...{ resample: "3", mean: CLIP_MEAN, std: CLIP_STD, size: 224, shortest: true, crop: 224 },
};

const PROCESSORS: Readonly<Record<string, Processor>> = {
  ViT: { resample: "2", mean: HALF, std: HALF },
  DeiT: { resample: "3", mean: HALF, std: HALF, size: 256, crop: 224 },
  Bit: CLIP_PROCESSOR,
  CLIP: CLIP_PROCESSOR,
  Siglip: { resample: "3", mean: HALF, std: HALF, shortest: true },
};

/** The image processor of a family, where its folder names none. */
const PROCESSOR_OF: Readonly<Record<string, string>> = {
  deit: "DeiT",
  dinov2: "Bit",
  dinov2_with_registers: "Bit",
  clip: "CLIP",
  clip_vision_model: "CLIP",
  siglip: "Siglip",
  siglip_vision_model: "Siglip",
};

const processorOf = (config: Fields): string => PROCESSOR_OF[String(config.raw("model_type"))] ?? "ViT";

/** What a folder without a file would say: the processor's sizes, in proportion to those of the model's images. */
function withoutFile(name: string, [height, width]: Size): unknown {
  const { size, shortest, crop } = PROCESSORS[name]!;
  if (size === undefined || crop === undefined) return { size: { height, width } };
  const scaled = (length: number): number => Math.round((length * size) / crop);
  return {
    size: shortest
      ? { shortest_edge: scaled(Math.max(height, width)) }
      : { height: scaled(height), width: scaled(width) },
    crop_size: { height, width },
  };
}

const PROCESSOR_NAME = new RegExp(
  `^(${Object.keys(PROCESSORS).join("|")})(?:ImageProcessor|FeatureExtractor)(?:Fast|Pil)?$`,
);

/** @see transformers 5.23, image_processing_backends.py and models/{vit,deit,bit,clip,siglip}/image_processing_*.py */
function fromPreprocessorConfig(json: unknown, own: string, model: VitConfig, file: string): ImagePreprocessing {
  const fields = new Fields(json);
  const type = fields.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  const name = fields.text(type, `${own}ImageProcessor`);
  const known = PROCESSOR_NAME.exec(name)?.[1];
  if (known === undefined) {
    const names = Object.keys(PROCESSORS).map((processor) => `${processor}ImageProcessor`);
    fields.refuse(type, `"${name}" is not supported. Known: ${names.join(", ")}`);
  }
  const processor = PROCESSORS[known ?? own]!;
  const { channels } = model;
  if (!fields.boolean("do_resize", true)) fields.refuse("do_resize", "only true is supported");
  if (fields.boolean("do_pad", false)) fields.refuse("do_pad", "only false is supported");
  const cropped = fields.boolean("do_center_crop", processor.crop !== undefined);
  const normalized = fields.boolean("do_normalize", true);
  const values = (
    key: string,
    read: (fields: Fields, key: string, fallback: readonly number[]) => readonly number[],
    of: readonly number[],
  ) => channelValues(fields, key, channels, read(fields, key, perChannel(of, channels)));
  const preprocessing: ImagePreprocessing = {
    kind: "image",
    resize: targetSize(fields, processor, model.imageSize),
    ...(cropped ? { crop: { ...edges(fields, "crop_size", processor.crop), rounding: "down" } } : {}),
    interpolation: fields.choice<Interpolation>("resample", processor.resample, PIL_CODES),
    rescale: fields.boolean("do_rescale", true) ? fields.positive("rescale_factor", 1 / 255) : 1,
    mean: normalized ? values("image_mean", numbers, processor.mean) : Array<number>(channels).fill(0),
    std: normalized ? values("image_std", deviations, processor.std) : Array<number>(channels).fill(1),
    channels,
  };
  throwProblems("CONFIG", file, fields.problems);
  return preprocessing;
}

const numbers = (fields: Fields, key: string, fallback: readonly number[]): readonly number[] =>
  fields.numbers(key, fallback);

function targetSize(
  fields: Fields,
  { size: fallback, shortest }: Processor,
  image: Size,
): ImagePreprocessing["resize"] {
  const size = fields.raw("size");
  if (typeof size === "object" && size !== null && "shortest_edge" in size) {
    const inside = fields.object("size");
    if (inside.has("longest_edge")) inside.refuse("longest_edge", "is not supported beside shortest_edge");
    return { mode: "shortest-edge", edge: inside.natural("shortest_edge") };
  }
  if (shortest && (typeof size === "number" || (size === undefined && fallback !== undefined)))
    return { mode: "shortest-edge", edge: fields.natural("size", fallback) };
  return { mode: "exact", ...edges(fields, "size", fallback ?? image) };
}

/** A size as transformers writes it: { height, width }, or one number or a pair in files of old. */
function edges(fields: Fields, key: string, fallback?: number | Size): { height: number; width: number } {
  const value = fields.raw(key);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const inside = fields.object(key);
    return { height: inside.natural("height"), width: inside.natural("width") };
  }
  const [height, width] = fields.size(key, typeof fallback === "number" ? [fallback, fallback] : fallback);
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
