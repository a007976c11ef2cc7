import { basename, join, resolve } from "node:path";
import { type Dataset, type SplitName, splitNames } from "./dataset.js";
import { decodeImage, imageExtensions } from "./image.node.js";
import { imageDataset } from "./image-dataset.js";
import type { ImageSource } from "./image-split.js";
import { type ImageTree, imageTree, passedOver } from "./image-tree.node.js";
import { dataError } from "./problems.js";
import { asPython } from "./python-order.js";
import { checkShares, type ImageSplitOptions, type Shares, splitClass } from "./stratify.js";

export interface ImageFolder extends Dataset {
  /** Files that were passed over: endings that are not read, and images outside every class. */
  readonly ignored: readonly string[];
}

/**
 * A data set of images in folders: either `class/image`, split at random (stratified, seeded), or `train/class/image`
 * with `val` (or `validation`, `valid`) and `test` beside it, used as they are; of these, what is missing is split off
 * train. Classes are sorted by name as Python sorts; below a class, folders are searched to any depth. JPEG, PNG, WebP,
 * GIF and TIFF; hidden files are left out, symbolic links followed.
 *
 * @throws {GloraError} DATA, one error for all that is wrong: fewer than two classes, a class without images or with too
 *   few to split, a class in validation or test that train lacks. Unreadable images are found by `prepare`.
 */
export async function imageFolder(path: string, options: ImageSplitOptions = {}): Promise<ImageFolder> {
  const shares = checkShares(options.split);
  const seed = options.seed ?? 0;
  const tree = await imageTree(path);
  const problems: string[] = [];
  const layout = readLayout(tree, problems);
  const labels = [...layout.classes.train.keys()].sort(asPython);
  if (labels.length < 2 && problems.length === 0)
    problems.push(
      `at least two folders of images are needed, one for each class ("${path}/<class>/<image>"); found ` +
        `${labels.length === 0 ? "none" : `only "${labels[0]}"`}, and ${imageCount(tree.images.length)} in all`,
    );
  const share = {
    validation: layout.classes.validation ? 0 : shares.validation,
    test: layout.classes.test ? 0 : shares.test,
  };
  const splits: Record<SplitName, ImageSource[]> = { train: [], validation: [], test: [] };
  labels.forEach((name, label) => {
    const images = divideClass(name, layout.classes, share, seed, problems);
    for (const split of splitNames)
      for (const image of images[split])
        splits[split].push({ name: image, label, decode: () => decodeImage(join(path, image)) });
  });
  if (problems.length > 0) throw dataError(`"${path}" cannot be used as a data set of images:`, problems);

  const used = new Set(splitNames.flatMap((split) => splits[split].map((source) => source.name)));
  const unsorted = tree.images.filter((image) => !used.has(image));
  const ignored = [...tree.others, ...unsorted];
  const dataset = imageDataset({
    name: basename(resolve(path)),
    labels,
    splits,
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    describe: () => ({
      kind: "image-folder",
      folder: path,
      splitFolders: layout.folders,
      share,
      seed,
      labels,
      splits: Object.fromEntries(splitNames.map((split) => [split, splits[split].map((source) => source.name)])),
      ignored,
    }),
  });
  const note = passedOver({ others: tree.others, unsorted });
  return { ...dataset, notes: () => (note === undefined ? [] : [`${dataset.name}: ${note}`]), ignored };
}

/** The images of each class, by the class's name. */
type Classes = ReadonlyMap<string, readonly string[]>;

interface Layout {
  /** The folder of each split that has one; none where the classes lie at the top. */
  readonly folders: Readonly<Partial<Record<SplitName, string>>>;
  readonly classes: { readonly train: Classes; readonly validation?: Classes; readonly test?: Classes };
}

const splitFolderNames: Record<SplitName, readonly string[]> = {
  train: ["train"],
  validation: ["val", "validation", "valid"],
  test: ["test"],
};

function readLayout(tree: ImageTree, problems: string[]): Layout {
  const top = tree.folders.filter((folder) => !folder.includes("/"));
  // A class may be called "train" (cars, ships, trains): a split's folder is one that holds folders.
  const holdsFolders = (folder: string): boolean => tree.folders.some((other) => other.startsWith(`${folder}/`));
  if (!top.includes("train") || !holdsFolders("train")) {
    const splitLike = Object.values(splitFolderNames).flat();
    if (top.some(holdsFolders) && top.every((folder) => splitLike.includes(folder)))
      problems.push(`there is no train/<class>/ beside ${top.map((folder) => `${folder}/`).join(" and ")}`);
    return { folders: {}, classes: { train: imagesByClass(tree, "") } };
  }
  const folders: Partial<Record<SplitName, string>> = {};
  const classes: { train: Classes; validation?: Classes; test?: Classes } = { train: imagesByClass(tree, "train/") };
  for (const split of splitNames) {
    const [folder, second] = splitFolderNames[split].filter((name) => top.includes(name));
    if (folder === undefined) continue;
    if (second !== undefined) problems.push(`${folder}/ and ${second}/ are both there; keep one of them`);
    folders[split] = folder;
    classes[split] = imagesByClass(tree, `${folder}/`);
    const images = tree.images.filter((image) => image.startsWith(`${folder}/`));
    const loose = images.filter((image) => image.split("/").length === 2).length;
    if (images.length === 0) problems.push(`${folder}/ holds no images`);
    if (loose > 0)
      problems.push(
        `${folder}/ holds ${imageCount(loose)} without a class; sort ${loose === 1 ? "it" : "them"} into ${folder}/<class>/`,
      );
    for (const name of classes[split].keys())
      if (!classes.train.has(name)) problems.push(`class "${name}" of ${folder}/ is not in train/`);
  }
  return { folders, classes };
}

const imageCount = (count: number): string => `${count} ${count === 1 ? "image" : "images"}`;

/** The images of each class below `prefix` ("" or "train/" and the like). */
function imagesByClass({ folders, images }: ImageTree, prefix: string): Classes {
  const classes = new Map<string, string[]>();
  const inside = (path: string): string[] => path.slice(prefix.length).split("/");
  for (const folder of folders) {
    const [name, deeper] = inside(folder);
    if (folder.startsWith(prefix) && deeper === undefined) classes.set(name!, []);
  }
  for (const image of images) {
    const [name, rest] = inside(image);
    if (image.startsWith(prefix) && rest !== undefined) classes.get(name!)!.push(image);
  }
  return classes;
}

/** One class's images for each split: as they lie, and what is missing split off train. */
function divideClass(
  name: string,
  { train, validation, test }: Layout["classes"],
  share: Shares,
  seed: number,
  problems: string[],
): Record<SplitName, readonly string[]> {
  const images = train.get(name)!;
  const parts = splitClass(name, images, share, seed);
  if (images.length === 0) problems.push(`class "${name}" has no images (${[...imageExtensions].join(", ")})`);
  else if (!parts)
    problems.push(`class "${name}" has ${imageCount(images.length)}, too few to have one in each split; add images`);
  return {
    train: parts?.train ?? [],
    validation: validation?.get(name) ?? parts?.validation ?? [],
    test: test?.get(name) ?? parts?.test ?? [],
  };
}
