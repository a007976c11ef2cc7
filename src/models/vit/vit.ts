/** A Vision Transformer from a folder of timm or transformers as a {@link Model}. */
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import type { ImagePreprocessing } from "../../data/image-spec.js";
import type { Size } from "../../formats/fields.js";
import { readJson } from "../../formats/folder.js";
import { type Head, linearHead, type Model } from "../model.js";
import type { ModelParts } from "../parts.js";
import { imagePreprocessing } from "../preprocessing.js";
import { readWeight, type Weight, weightsOf } from "../weights.js";
import { parseVitConfig, patchGrid, type VitConfig } from "./config.js";
import { exportVit } from "./export.js";
import { vitTrunk } from "./forward.js";
import { checkVitTensors, type VitTensors, vitLibraryOf } from "./names.js";
import { resampleTimm, resampleTransformers } from "./position-embedding.js";

interface VitParts extends ModelParts {
  readonly config: VitConfig;
  readonly input: ImagePreprocessing;
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
  const head = config.classes > 0 ? headOf(tensors.names.head, config.width, config.classes, true) : undefined;
  return vitModel({ ...parts, config, input }, tensors, weightsOf(checkpoint), head, config.labels);
}

const headOf = (name: string, width: number, out: number, pretrained: boolean): Head => ({
  layers: [{ name, in: width, out, bias: true }],
  in: width,
  out,
  trained: true,
  pretrained,
});

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
    rows: "examples",
    loss: head?.pretrained ? config.loss : newHeadLoss(config, head?.out),
    feeds: (inputs) => ({ ...inputs }),
    inputs: (g) => ({ pixel_values: g.input("pixel_values", "float32", ["batch", channels, ...imageSize]) }),
    trunk: (g, w, inputs, o = {}) => vitTrunk(g, w, inputs["pixel_values"]!, config, names, o),
    logits: (_, w, features) => linearHead(w, head!, features),
    withTask(task) {
      if (task.kind !== "classes")
        throw new GloraError(
          "MODEL",
          `${folder.name}: a ViT is trained to name classes here, not for a task of the kind "${task.kind}".`,
          { folder: folder.name, task: task.kind },
        );
      const newLabels = task.labels;
      const fresh = headOf(names.head, width, newLabels.length, false);
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
    exportSpec: (o) => exportVit({ config, rawConfig: parts.rawConfig, names, head, labels }, o),
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
