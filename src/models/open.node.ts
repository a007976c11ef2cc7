/** Opens a model by the path of its folder. */

import { openFile } from "../formats/file.node.js";
import { parseJson, sourceText } from "../formats/folder.js";
import { openFolder } from "../formats/folder.node.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { DeviceName, Runtime } from "../runtime/runtime.js";
import type { Model } from "./model.js";
import { openModelFolder } from "./open.js";

export interface OpenModelPathOptions {
  /** Where its graphs run. Default: cpu. */
  readonly device?: DeviceName;
  /** A runtime that is there already, in place of a new one. */
  readonly runtime?: Runtime;
  /** A JSON file that says what config.json would, for a folder that has none. */
  readonly config?: string;
}

/**
 * Opens a pretrained model's folder: timm's or transformers' config.json beside model.safetensors or its shards.
 *
 *     const model = await openModel("models/vit-micro");
 *
 * @throws {GloraError} FILE, CONFIG, MODEL or DEVICE, naming the file or tensor, what was expected and what was found
 */
export async function openModel(path: string, o: OpenModelPathOptions = {}): Promise<Model> {
  const folder = await openFolder(path);
  const config = o.config && { file: o.config, json: parseJson(await sourceText(await openFile(o.config)), o.config) };
  const runtime = o.runtime ?? (await createNodeRuntime({ device: o.device ?? "cpu" }));
  try {
    return await openModelFolder(folder, runtime, config ? { config } : {});
  } catch (thrown) {
    if (!o.runtime) await runtime.dispose();
    throw thrown;
  }
}
