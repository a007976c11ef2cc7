/** Opens data by its name: a folder of images, or the digits that come with the package. */
import type { Dataset } from "./dataset.js";
import { digits } from "./digits.node.js";
import { type ImageFolderOptions, imageFolder } from "./image-folder.node.js";

/** What {@link openData} was called with, as a run remembers it. */
export interface DataSource {
  /** Path of an image folder, or "digits". */
  readonly path: string;
  readonly split?: NonNullable<ImageFolderOptions["split"]>;
  readonly seed?: number;
}

/** @throws {GloraError} DATA with everything that is wrong with the folder */
export const openData = ({ path, ...options }: DataSource): Promise<Dataset> =>
  path === "digits" ? Promise.resolve(digits()) : imageFolder(path, options);
