/** A Vision Transformer from a folder of timm or transformers as a {@link Model}. */
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import type { ImagePreprocessing } from "../../data/image-spec.js";
import { withoutTensors } from "../../formats/checkpoint.js";
import type { Size } from "../../formats/fields.js";
import { readJson } from "../../formats/folder.js";
import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/graph.js";
import { type Head, headTensors, linearHead, type Model } from "../model.js";
import type { ModelParts } from "../parts.js";
import { imagePreprocessing } from "../preprocessing.js";
import { readWeight, type Weight, type Weights, weightsOf } from "../weights.js";
import { featureWidth, parseVitConfig, patchGrid, positionedPrefix, type VitConfig } from "./config.js";
import { asClassifier } from "./config-transformers.js";
import { exportVit } from "./export.js";
import { vitTrunk } from "./forward.js";
import { checkVitTensors, headLayers, linearLayers, type VitNames, type VitTensors, vitLibraryOf } from "./names.js";
import { resampleTimm, resampleTransformers } from "./position-embedding.js";

interface VitParts extends ModelParts {
  readonly config: VitConfig;
  readonly input: ImagePreprocessing;
  /** Names of the pretrained head's classes that the config does not state. */
  readonly usualLabels?: readonly string[];
  /** Of a model for another image size than its config's: what it was for that. */
  readonly original?: Pick<VitParts, "input"> & { readonly imageSize: Size; readonly positions: Weight | undefined };
}

/**
 * @throws {GloraError} CONFIG for a config that cannot be; MODEL with every tensor that is missing, unexpected or misshapen
 */
export async function openVit(parts: ModelParts): Promise<Model> {
  const { folder, checkpoint, rawConfig, file } = parts;
  const config = parseVitConfig(rawConfig, file, vitLibraryOf(checkpoint.tensors));
  const preprocessor = (await folder.open("preprocessor_config.json"))
    ? { preprocessor: await readJson(folder, "preprocessor_config.json") }
    : {};
  const input = imagePreprocessing({ config: rawConfig, ...preprocessor }, config, folder.name);
  const tensors = checkVitTensors(checkpoint, config, folder.name);
  const head = config.classes > 0 ? headOf(tensors.names, config, config.classes, true) : undefined;
  const usualLabels = config.labelSet && (await parts.labelNames?.(config.labelSet));
  const labels = config.labels ?? usualLabels;
  const used = withoutTensors(checkpoint, folder.name, tensors.unused);
  const vit = { ...parts, checkpoint: used, config, input, ...(usualLabels && { usualLabels }) };
  const model = vitModel(vit, tensors, weightsOf(checkpoint), head, labels);
  return parts.imageSize ? model.resized!(parts.imageSize) : model;
}

const headOf = (names: VitNames, config: VitConfig, out: number, pretrained: boolean): Head => ({
  layers: headLayers(names, config, out),
  in: featureWidth(config),
  out,
  trained: true,
  pretrained,
});

/**
 * Logits of features [batch, featureWidth]. Of two layers, each on a half (DeiT's, for class and distillation token), the
 * mean: so do timm and transformers in evaluation. The mean is trained here too, as timm does unless it distils.
 */
function headLogits(g: Builder, w: Weights, head: Head, features: Value): Value {
  const { layers } = head;
  if (layers.length === 1) return linearHead(w, head, features);
  const halves = g.split(
    features,
    layers.map((layer) => layer.in),
    1,
  );
  const sum = layers.map(({ name }, i) => w.linear(name, halves[i]!)).reduce(g.add);
  return g.mul(sum, g.scalar(1 / layers.length));
}

function vitModel(
  parts: VitParts,
  tensors: VitTensors,
  weights: ReadonlyMap<string, Weight>,
  head: Head | undefined,
  labels: readonly string[] | undefined,
): Model {
  const { config, folder, checkpoint, input, runtime, original } = parts;
  const { names, layers } = tensors;
  const { channels, imageSize } = config;
  const positions = weights.get(names.positionEmbedding);
  const model: Model = {
    name: folder.name,
    family: "vit",
    runtime,
    folder,
    checkpoint,
    weights,
    ...(original && positions && { changed: new Map([[names.positionEmbedding, positions]]) }),
    imageSize,
    imageSizeAsked: parts.imageSize !== undefined,
    layers,
    head,
    labels,
    usualLabels: labels !== undefined && labels === parts.usualLabels,
    input,
    residualBranches: 2 * config.depth,
    rows: "examples",
    loss: head?.pretrained ? config.loss : newHeadLoss(config, head?.out),
    feeds: (inputs) => ({ ...inputs }),
    inputs: (g) => ({ pixel_values: g.input("pixel_values", "float32", ["batch", channels, ...imageSize]) }),
    trunk: (g, w, inputs, o = {}) => vitTrunk(g, w, inputs["pixel_values"]!, config, names, o),
    logits: (g, w, features) => headLogits(g, w, head!, features),
    withTask(task) {
      if (task.kind !== "classes")
        throw new GloraError(
          "MODEL",
          `${folder.name}: a ViT is trained to name classes here, not for a task of the kind "${task.kind}".`,
          { folder: folder.name, task: task.kind },
        );
      const newLabels = task.labels;
      const classifier = asClassifier(config);
      const fresh = headOf(names, classifier, newLabels.length, false);
      const old = new Set(headTensors(headOf(names, config, config.classes, true)).map(({ name }) => name));
      const kept = new Map([...weights].filter(([name]) => !old.has(name)));
      const fitting = { ...tensors, layers: linearLayers(names, classifier) };
      return vitModel({ ...parts, config: classifier }, fitting, kept, fresh, newLabels);
    },
    async fitInputs(inputs) {
      const size = imageSizeOf(inputs["pixel_values"], config);
      return same(size, imageSize) ? this : model.resized!(size);
    },
    async resized(size) {
      if (same(size, imageSize)) return model;
      const resized = { ...config, imageSize: size };
      if (patchGrid(resized).includes(0))
        throw new GloraError(
          "DATA",
          `Images of ${size.join("×")} are smaller than a patch of ${config.patchSize.join("×")}.`,
        );
      if (Math.max(...size) > LARGEST_IMAGE)
        throw new GloraError(
          "USAGE",
          `Images of ${size.join("×")} pixels are larger than the ${LARGEST_IMAGE} pixels a side that are supported.`,
          { model: folder.name, imageSize: size },
        );
      const { original: _, ...others } = parts;
      const from = original ?? { input, imageSize, positions };
      const back = same(size, from.imageSize);
      const old = { ...config, imageSize: from.imageSize };
      const table = from.positions && (back ? from.positions : await resampled(from.positions, old, resized));
      return vitModel(
        {
          ...others,
          config: resized,
          input: back ? from.input : scaledPreprocessing(from.input, from.imageSize, size),
          ...(!back && { original: from }),
        },
        tensors,
        new Map([...weights, ...(table ? [[names.positionEmbedding, table] as const] : [])]),
        head,
        labels,
      );
    },
    exportSpec: (o) =>
      exportVit({ config, rawConfig: parts.rawConfig, head, labels, resized: original !== undefined }, o),
  };
  return model;
}

const same = (a: Size, b: Size): boolean => a[0] === b[0] && a[1] === b[1];

/** Pixels a side; tokens grow with its square, and attention with the square of theirs. */
const LARGEST_IMAGE = 4096;

/** The same preparation, of images of another size. */
function scaledPreprocessing(p: ImagePreprocessing, from: Size, to: Size): ImagePreprocessing {
  const scale = (length: number, axis: 0 | 1) => Math.round((length * to[axis]) / from[axis]);
  const both = <T extends { height: number; width: number }>(size: T): T => ({
    ...size,
    height: scale(size.height, 0),
    width: scale(size.width, 1),
  });
  const { resize, crop } = p;
  const square = to[0] === to[1];
  return {
    ...p,
    resize:
      resize.mode !== "shortest-edge"
        ? both(resize)
        : square
          ? { ...resize, edge: scale(resize.edge, 0) }
          : { mode: "cover", height: scale(resize.edge, 0), width: scale(resize.edge, 1) },
    ...(crop && { crop: both(crop) }),
  };
}

/** transformers takes one output for a regression, timm none. */
const newHeadLoss = ({ library }: VitConfig, outputs: number | undefined): Model["loss"] =>
  library === "transformers" && outputs === 1 ? "mse" : "cross-entropy";

function imageSizeOf(pixels: Tensor | undefined, { channels }: VitConfig): Size {
  const shape = pixels?.shape;
  if (pixels?.dtype !== "float32" || shape?.length !== 4 || shape[1] !== channels)
    throw new GloraError(
      "DATA",
      `pixel_values: float32 [images, ${channels}, height, width] expected, found ${pixels ? `${pixels.dtype} [${shape?.join(", ")}]` : "nothing"}.`,
      { input: "pixel_values", expected: ["images", channels, "height", "width"], actual: shape },
    );
  return [shape[2]!, shape[3]!];
}

/** Position embeddings for the grid of another image size, as the library that the weights come from resamples them. */
async function resampled(positions: Weight, from: VitConfig, to: VitConfig): Promise<Weight> {
  const prefixTokens = positionedPrefix(from);
  const newGrid = patchGrid(to);
  // transformers resamples with antialiasing only for DINOv2 with registers.
  const antialiased = from.library === "timm" || from.positions === "class-and-patches";
  const resample = antialiased ? resampleTimm : resampleTransformers;
  const values = resample(await readWeight(positions), {
    width: from.width,
    prefixTokens,
    oldGrid: patchGrid(from),
    newGrid,
  });
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const shape = [...positions.shape.slice(0, -2), prefixTokens + newGrid[0] * newGrid[1], from.width];
  return { shape, data: { kind: "inline", dtype: "float32", bytes } };
}
