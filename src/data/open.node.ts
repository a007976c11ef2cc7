/** Opens data by its name: a folder of images, text, or the digits that come with the package. */
import type { Dataset } from "./dataset.js";
import { digits } from "./digits.node.js";
import { imageFolder } from "./image-folder.node.js";
import { textData } from "./text/text-data.node.js";
import { isTextData } from "./text/text-files.node.js";
import type { TextOptions } from "./text/text-options.js";

/** What {@link openData} was called with, as a run remembers it. */
export interface DataSource extends TextOptions {
  /** Path of an image folder, of a text file or a folder of them, or "digits". */
  readonly path: string;
}

/** @throws {GloraError} DATA with everything that is wrong with the data */
export async function openData({ path, ...options }: DataSource): Promise<Dataset> {
  if (path === "digits") return digits();
  return (await isTextData(path)) ? textData(path, options) : imageFolder(path, options);
}
