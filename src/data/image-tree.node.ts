import { existsSync } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { messageOf } from "../base/errors.js";
import { imageExtensions } from "./image.node.js";
import { dataError } from "./problems.js";
import { asPython } from "./python-order.js";

/** What lies below a folder, as paths relative to it with "/" between the parts, in Python's order. */
export interface ImageTree {
  readonly folders: readonly string[];
  readonly images: readonly string[];
  /** Files whose ending is none that we read, but for those that file managers leave behind. */
  readonly others: readonly string[];
}

/** Of Windows; those of others are hidden. */
const LEFT_BEHIND: ReadonlySet<string> = new Set(["thumbs.db", "desktop.ini"]);

/** Names of a list that a line about it gives. */
const NAMED = 4;

/** A line about files that are passed over; undefined where there are none. */
export function passedOver(
  files: Readonly<Partial<Record<"others" | "unsorted", readonly string[]>>>,
): string | undefined {
  const some = (all: readonly string[]): string => all.slice(0, NAMED).join(", ") + (all.length > NAMED ? ", …" : "");
  const { others = [], unsorted = [] } = files;
  const count = others.length + unsorted.length;
  if (count === 0) return undefined;
  const why = [
    ...(others.length > 0 ? [`of another kind than ${[...imageExtensions].join(", ")}: ${some(others)}`] : []),
    ...(unsorted.length > 0 ? [`images outside every class: ${some(unsorted)}`] : []),
  ];
  return `${count === 1 ? "1 file is" : `${count} files are`} left out, ${why.join("; ")}.`;
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
      else if (!LEFT_BEHIND.has(entry.name.toLowerCase())) tree.others.push(path);
    }
  }

  try {
    await list("", []);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && !existsSync(root))
      throw dataError(
        `There is no file or folder "${root}" (data)${isAbsolute(root) ? "" : `: ${resolve(root)} was looked for`}. ` +
          "Give the path of a folder of images (class/image), of one image to predict, or of a file of text.",
        [],
      );
    throw dataError(`The folder "${root}" cannot be read:`, [messageOf(error)]);
  }
  for (const paths of Object.values(tree)) paths.sort(asPython);
  return tree;
}
