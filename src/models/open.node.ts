/** Opens a model by the path of its folder, or of its file of weights. */

import type { Size } from "../formats/fields.js";
import { openFile } from "../formats/file.node.js";
import { parseJson, sourceText } from "../formats/folder.js";
import { openWeightsFolder } from "../formats/weights-folder.node.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { DeviceName, Runtime } from "../runtime/runtime.js";
import { labelNames } from "./label-names.node.js";
import type { Model } from "./model.js";
import { openModelFolder } from "./open.js";

export interface OpenModelPathOptions {
  /** Where its graphs run. Default: cpu. */
  readonly device?: DeviceName;
  /** A runtime that is there already, in place of a new one. */
  readonly runtime?: Runtime;
  /** Of a ViT: images of so many pixels a side (or [height, width]) in place of the model's own size. */
  readonly imageSize?: number | Size;
  /** A JSON file that says what config.json would, for a folder that has none. */
  readonly config?: string;
}

/**
 * Opens a pretrained model: a folder with timm's or transformers' config.json beside the weights (model.safetensors,
 * pytorch_model.bin, the shards of either, or a single other file), or one file of weights in such a folder. An original
 * JAX checkpoint of a ViT needs no config.json.
 *
 *     const model = await openModel("models/vit-micro");
 *     const other = await openModel("downloads/ViT-B_16.npz");
 *
 * @throws {GloraError} FILE, CONFIG, MODEL or DEVICE, naming the file or tensor, what was expected and what was found
 */
export async function openModel(path: string, o: OpenModelPathOptions = {}): Promise<Model> {
  const folder = await openWeightsFolder(path);
  const config = o.config && { file: o.config, json: parseJson(await sourceText(await openFile(o.config)), o.config) };
  const runtime = o.runtime ?? (await createNodeRuntime({ device: o.device ?? "cpu" }));
  try {
    const imageSize = typeof o.imageSize === "number" ? ([o.imageSize, o.imageSize] as const) : o.imageSize;
    return await openModelFolder(folder, runtime, {
      labelNames,
      ...(config && { config }),
      ...(imageSize && { imageSize }),
    });
  } catch (thrown) {
    if (!o.runtime) await runtime.dispose();
    throw thrown;
  }
}
