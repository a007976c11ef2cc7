/** Adapters between their files and the models that they adapt. */
import { GloraError } from "../base/errors.js";
import type { ImagePreprocessing } from "../data/image-spec.js";
import type { Size } from "../formats/fields.js";
import type { Loss } from "../models/loss.js";
import { headTensors, headWeights, type Model } from "../models/model.js";
import type { AdaptedModel, TrainedTensor } from "./adapted-model.js";
import { type Adapter, type AdapterFile, loadAdapter } from "./adapter-file.js";
import { effectiveLayout, planOf } from "./effective.js";
import { sizeOf } from "./forms/index.js";
import { withReplaced } from "./interchange/foreign.js";
import type { LayerForms, Space } from "./space.js";
import type { Structure } from "./structure.js";

/**
 * A model with an adapter on it, in the adapter's own structure. Its head is the adapter's where that brings one, else the
 * model's own; a model without a head stays without one. Its images are of the size that the adapter was trained at,
 * unless another was asked for when the model was opened.
 *
 *     const adapted = await attachAdapter(model, await openAdapter(await openFolder("run/adapter")));
 *
 * @throws {GloraError} ADAPTER with everything that does not fit: layer, support, expected and found shape; or if the
 *   adapter is for other classes than the model's and brings no head for them
 */
export async function attachAdapter(base: Model, opened: AdapterFile): Promise<AdaptedModel> {
  const { file, replaced } = (await opened.translate?.(base)) ?? { file: opened, replaced: new Map() };
  const sized = await atSizeOf(file, base);
  const model = withReplaced(withHeadOf(sized, file), replaced);
  const shapes = headTensors(model.head);
  const { a, genome, table, values, head } = await loadAdapter(file, model.layers, shapes);

  const layers = model.layers.filter(({ name }) => genome.has(name));
  const forms = new Map(layers.map(({ name }) => [name, only(genome.get(name)!)]));
  const space: Space = { a, layers, forms };
  const plans = planOf(genome, layers, a);
  const tensors: TrainedTensor[] = [];
  let size = 0;
  for (const { name, shape } of [...table.tensors, ...shapes]) {
    tensors.push({ name, shape, offset: size, length: sizeOf(shape) });
    size += sizeOf(shape);
  }
  const parameters = new Float32Array(size);
  parameters.set(values);
  if (head.length === 0) parameters.set(await ownHead(model, file), table.size);
  for (const { name, values } of head) parameters.set(values, tensors.find((tensor) => tensor.name === name)!.offset);
  const layout = effectiveLayout(plans, layers);
  return { model, space, genome, table, plans, layout, tensors, headOffset: table.size, parameters, replaced };
}

/** The model for images of the size that an adapter was trained at, unless another was asked for when it was opened. */
export async function atSizeOf({ manifest: { imageSize } }: AdapterFile, model: Model): Promise<Model> {
  return imageSize && model.resized && !model.imageSizeAsked ? model.resized(imageSize) : model;
}

/** What people should know where an adapter was trained at another image size than that of the model as it was opened. */
export function imageSizeNote({ name, manifest: { imageSize } }: AdapterFile, model: Model): string | undefined {
  if (!imageSize || !model.imageSize || String(imageSize) === String(model.imageSize)) return undefined;
  const [trained, own] = [imageSize, model.imageSize].map(inPixels);
  return model.imageSizeAsked
    ? `The adapter ${name} was trained on images of ${trained}; it now gets the ${own} that were asked for.`
    : `The adapter ${name} was trained on images of ${trained}: these are used, not the ${own} of ${model.name}.`;
}

const inPixels = ([height, width]: Size): string => `${height} × ${width} pixels`;

/** The model with a new head, where the adapter brings one of other labels or of another count. */
function withHeadOf(model: Model, { name: adapter, manifest: { labels, task }, tensors }: AdapterFile): Model {
  const head = model.head?.trained ? model.head : model.withTask({ kind: "classes", labels: ["any"] }).head!;
  const { name } = head.layers.at(-1)!;
  const outputs = tensors.get(`${name}.weight`)?.shape[0];
  // An adapter without labels is for the model's own.
  const own = labels === undefined || (model.labels !== undefined && equal(labels, model.labels));
  if (outputs !== undefined) {
    if (own && model.head?.trained && model.head.out === outputs) return model;
    const names = labels ?? Array.from({ length: outputs }, (_, i) => `LABEL_${i}`);
    return model.withTask({ kind: task ?? "classes", labels: names });
  }
  if (own || !model.head || labels.length === model.head.out) return model;
  throw new GloraError(
    "ADAPTER",
    `The adapter ${adapter} is for the classes ${labels.slice(0, 4).join(", ")}${labels.length > 4 ? ", …" : ""}, which ` +
      `are not those of ${model.name}, and brings no head for them: it has no tensor ${name}.weight.`,
    { file: adapter, labels },
  );
}

const equal = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((label, i) => label === b[i]);

async function ownHead(model: Model, file: AdapterFile): Promise<ArrayLike<number>> {
  const own = await headWeights(model);
  if (own || !model.head?.trained) return own ?? [];
  throw new GloraError(
    "ADAPTER",
    `The adapter ${file.name} brings no head, and that of ${model.name} is new: nothing has trained it.`,
    { file: file.name },
  );
}

/** What an adapter says of tasks other than classes. */
const TASKS: Partial<Record<Loss, NonNullable<Adapter["task"]>>> = {
  "binary-cross-entropy": "multi-label",
  mse: "regression",
};

const preprocessingOf = ({ kind: _, ...preprocessing }: ImagePreprocessing) => preprocessing;

const only = ({ A, B, C, D, E }: Structure): LayerForms => ({ A: [A], B: [B], C: [C], D: [D], E: [E] });

/**
 * The trained numbers of a fixed model as an adapter to save.
 *
 * @param facts  what is recorded of the base and of the training
 * @throws {GloraError} USAGE for a supernet, which has no one structure
 */
export function toAdapter(adapted: AdaptedModel, facts: Pick<Adapter, "base" | "training"> = {}): Adapter {
  const { model, parameters, table, tensors, headOffset, genome, space, replaced } = adapted;
  if (!genome)
    throw new GloraError("USAGE", "A supernet has no one structure to save as an adapter: search one first.");
  if (replaced?.size)
    throw new GloraError(
      "USAGE",
      `The adapter replaces weights of the base (${[...replaced.keys()].join(", ")}), which a glora adapter cannot hold: merge it.`,
      { replaced: [...replaced.keys()] },
    );
  return {
    a: space.a,
    genome,
    table,
    values: parameters.slice(0, headOffset),
    head: tensors
      .slice(table.tensors.length)
      .map(({ name, shape, offset, length }) => ({ name, shape, values: parameters.slice(offset, offset + length) })),
    ...(model.head?.trained && model.labels && { labels: model.labels }),
    ...(TASKS[model.loss] && { task: TASKS[model.loss] }),
    ...(model.imageSize && { imageSize: model.imageSize }),
    ...(model.input.kind === "image" && { preprocessing: preprocessingOf(model.input) }),
    ...facts,
  };
}
