/** A Vision Transformer from a folder of timm or transformers as a {@link Model}. */
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import type { InputSpec } from "../../data/dataset.js";
import type { Checkpoint } from "../../formats/checkpoint.js";
import type { Size } from "../../formats/fields.js";
import type { Folder } from "../../formats/folder.js";
import type { Runtime } from "../../runtime/runtime.js";
import type { ExportSpec, Head, Model } from "../model.js";
import { readWeight, type Weight, weightsOf } from "../weights.js";
import { patchGrid, type VitConfig } from "./config.js";
import { vitTrunk } from "./forward.js";
import { checkVitTensors, type VitNames, type VitTensors } from "./names.js";
import { resampleTimm, resampleTransformers } from "./position-embedding.js";

export interface VitParts {
  readonly folder: Folder;
  readonly checkpoint: Checkpoint;
  readonly config: VitConfig;
  /** config.json as it is, from which an export is written. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly input: InputSpec;
  readonly runtime: Runtime;
}

/** @throws {GloraError} MODEL with every tensor that is missing, unexpected or misshapen */
export function openVit(parts: VitParts): Model {
  const { folder, checkpoint, config } = parts;
  const tensors = checkVitTensors(checkpoint, config, folder.name);
  const head: Head | undefined =
    config.classes > 0
      ? { name: tensors.names.head, in: config.width, out: config.classes, pretrained: true }
      : undefined;
  return vitModel(parts, tensors, weightsOf(checkpoint), head, config.labels);
}

function vitModel(
  parts: VitParts,
  tensors: VitTensors,
  weights: ReadonlyMap<string, Weight>,
  head: Head | undefined,
  labels: readonly string[] | undefined,
): Model {
  const { config, folder, checkpoint, input, runtime } = parts;
  const { names, layers } = tensors;
  const { channels, imageSize, width } = config;
  return {
    name: folder.name,
    family: "vit",
    runtime,
    folder,
    checkpoint,
    weights,
    layers,
    head,
    labels,
    input,
    residualBranches: 2 * config.depth,
    loss: head?.pretrained ? config.loss : "cross-entropy",
    inputs: (g) => ({ pixel_values: g.input("pixel_values", "float32", ["batch", channels, ...imageSize]) }),
    trunk: (g, w, inputs, o = {}) => vitTrunk(g, w, inputs["pixel_values"]!, config, names, o),
    withHead(newLabels) {
      const fresh = { name: names.head, in: width, out: newLabels.length, pretrained: false };
      const kept = new Map([...weights].filter(([name]) => !name.startsWith(`${names.head}.`)));
      return vitModel(parts, tensors, kept, fresh, newLabels);
    },
    async fitInputs(inputs) {
      const size = imageSizeOf(inputs["pixel_values"], config);
      if (size[0] === imageSize[0] && size[1] === imageSize[1]) return this;
      const resized = { ...config, imageSize: size };
      if (patchGrid(resized).includes(0))
        throw new GloraError(
          "DATA",
          `Images of ${size.join("×")} are smaller than a patch of ${config.patchSize.join("×")}.`,
        );
      const positions = await resampled(weights.get(names.positionEmbedding)!, config, resized);
      const changed = new Map(weights).set(names.positionEmbedding, positions);
      return vitModel({ ...parts, config: resized }, tensors, changed, head, labels);
    },
    exportSpec: (o) => exportVit(parts, names, head, o),
  };
}

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
  const prefixTokens = from.classToken ? 1 : 0;
  const newGrid = patchGrid(to);
  const resample = from.library === "timm" ? resampleTimm : resampleTransformers;
  const values = resample(await readWeight(positions), {
    width: from.width,
    prefixTokens,
    oldGrid: patchGrid(from),
    newGrid,
  });
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const shape = [1, prefixTokens + newGrid[0] * newGrid[1], from.width];
  return { shape, data: { kind: "inline", dtype: "float32", bytes } };
}

/** The folder's config for another head, or with biases that it had not: the library's own fields, the rest as it was. */
function exportVit(
  { config, rawConfig }: VitParts,
  names: VitNames,
  head: Head | undefined,
  { labels, addedBiases }: { labels: readonly string[] | undefined; addedBiases: boolean },
): ExportSpec {
  const changed: Record<string, unknown> = { ...rawConfig };
  // A bare trunk has no prefix; as the trunk of a classifier its modules are called vit.…
  const wasBare = config.library === "transformers" && config.classes === 0 && !names.classToken.startsWith("vit.");
  if (config.library === "timm") {
    if (head) {
      changed["num_classes"] = head.out;
      if (isRecord(changed["pretrained_cfg"]))
        changed["pretrained_cfg"] = {
          ...without(changed["pretrained_cfg"], "label_names", "label_descriptions"),
          num_classes: head.out,
        };
      if (isRecord(changed["model_args"])) changed["model_args"] = without(changed["model_args"], "num_classes");
    }
    if (labels) {
      changed["label_names"] = labels;
      delete changed["label_descriptions"];
    }
    if (addedBiases) changed["model_args"] = { ...(changed["model_args"] as object), qkv_bias: true };
  } else {
    if (labels) {
      changed["id2label"] = Object.fromEntries(labels.map((label, i) => [i, label]));
      changed["label2id"] = Object.fromEntries(labels.map((label, i) => [label, i]));
      delete changed["num_labels"];
    }
    if (head) changed["architectures"] = ["ViTForImageClassification"];
    if (addedBiases) changed["qkv_bias"] = true;
  }
  const rename =
    wasBare && head ? (name: string) => (name.startsWith(`${head.name}.`) ? name : `vit.${name}`) : undefined;
  return {
    config: changed,
    ...(rename && { rename }),
    library: config.library,
    onnxConfig: onnxConfig(config, labels),
  };
}

/** config.json of the onnx sub-folder that transformers.js loads; a timm model gets one of its own, in transformers' terms. */
function onnxConfig(config: VitConfig, labels: readonly string[] | undefined): Record<string, unknown> {
  const names = labels ?? Array.from({ length: config.classes }, (_, i) => `LABEL_${i}`);
  return {
    architectures: ["ViTForImageClassification"],
    model_type: "vit",
    image_size: config.imageSize[0] === config.imageSize[1] ? config.imageSize[0] : config.imageSize,
    patch_size: config.patchSize[0] === config.patchSize[1] ? config.patchSize[0] : config.patchSize,
    num_channels: config.channels,
    hidden_size: config.width,
    num_hidden_layers: config.depth,
    num_attention_heads: config.heads,
    intermediate_size: config.hidden,
    id2label: Object.fromEntries(names.map((label, i) => [i, label])),
    label2id: Object.fromEntries(names.map((label, i) => [label, i])),
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

const without = (record: Record<string, unknown>, ...keys: string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
