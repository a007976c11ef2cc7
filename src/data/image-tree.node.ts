import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/errors.js";
import { imageExtensions } from "./image.node.js";
import { dataError } from "./problems.js";
import { asPython } from "./python-order.js";

/** What lies below a folder, as paths relative to it with "/" between the parts, in Python's order. */
export interface ImageTree {
  readonly folders: readonly string[];
  readonly images: readonly string[];
  /** Files whose ending is none that we read. */
  readonly others: readonly string[];
}

/**
 * Lists a folder and all below it. Hidden files and folders are left out, symbolic links followed.
 *
 * @throws {GloraError} DATA if the folder cannot be read
 */
export async function imageTree(root: string): Promise<ImageTree> {
  const tree = { folders: [] as string[], images: [] as string[], others: [] as string[] };

  /** `above`: the real paths on the way here, so that a link to one of them is not followed for ever. */
  async function list(folder: string, above: readonly string[]): Promise<void> {
    const here = await realpath(join(root, folder));
    if (above.includes(here)) return;
    if (folder !== "") tree.folders.push(folder);
    for (const entry of await readdir(here, { withFileTypes: true })) {
      if (entry.name.startsWith(".")) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      // A link that leads nowhere stays in the list: reading it gives an error with its name.
      const isFolder = entry.isSymbolicLink()
        ? await stat(join(here, entry.name)).then(
            (target) => target.isDirectory(),
            () => false,
          )
        : entry.isDirectory();
      if (isFolder) await list(path, [...above, here]);
      else if (imageExtensions.has(path.slice(path.lastIndexOf(".") + 1).toLowerCase())) tree.images.push(path);
      else tree.others.push(path);
    }
  }

  try {
    await list("", []);
  } catch (error) {
    throw dataError(`The folder "${root}" cannot be read:`, [messageOf(error)]);
  }
  for (const paths of Object.values(tree)) paths.sort(asPython);
  return tree;
}
