/** A Vision Transformer from a folder of timm or transformers as a {@link Model}. */
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import type { ImagePreprocessing } from "../../data/image-spec.js";
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
  /** Position embeddings of another image size than the checkpoint's, where that was asked for. */
  readonly changed?: ReadonlyMap<string, Weight>;
}

/** A ViT, which can be had for another image size. */
interface Vit extends Model {
  /** The same model for images of this size: position embeddings are resampled, preprocessing is scaled. */
  resized(size: Size): Promise<Model>;
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
  const model = vitModel({ ...parts, config, input }, tensors, weightsOf(checkpoint), head, config.labels);
  return parts.imageSize ? model.resized(parts.imageSize) : model;
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
): Vit {
  const { config, folder, checkpoint, input, runtime, changed } = parts;
  const { names, layers } = tensors;
  const { channels, imageSize } = config;
  const model: Vit = {
    name: folder.name,
    family: "vit",
    runtime,
    folder,
    checkpoint,
    weights,
    ...(changed && { changed, imageSize }),
    layers,
    head,
    labels,
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
      const fitting = { names, layers: linearLayers(names, classifier) };
      return vitModel({ ...parts, config: classifier }, fitting, kept, fresh, newLabels);
    },
    async fitInputs(inputs) {
      const size = imageSizeOf(inputs["pixel_values"], config);
      return String(size) === String(imageSize) ? this : model.resized(size);
    },
    async resized(size) {
      if (size[0] === imageSize[0] && size[1] === imageSize[1]) return model;
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
      const table = weights.get(names.positionEmbedding);
      const changed = new Map(table && [[names.positionEmbedding, await resampled(table, config, resized)]]);
      const scaled = scaledPreprocessing(input, imageSize, size);
      const resizedWeights = new Map([...weights, ...changed]);
      return vitModel({ ...parts, config: resized, input: scaled, changed }, tensors, resizedWeights, head, labels);
    },
    exportSpec: (o) =>
      exportVit({ config, rawConfig: parts.rawConfig, head, labels, resized: changed !== undefined }, o),
  };
  return model;
}

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
