/** An adapter from disk on a model: the head that it brings, its structure and its numbers. */
import { GloraError } from "../base/errors.js";
import { headWeights, type Model } from "../models/model.js";
import type { AdaptedModel, TrainedTensor } from "./adapted-model.js";
import { type AdapterFile, loadAdapter } from "./adapter-file.js";
import { effectiveLayout, planOf } from "./effective.js";
import { sizeOf } from "./forms/index.js";
import type { LayerForms, Space } from "./space.js";
import type { Structure } from "./structure.js";

/**
 * The model with an adapter: its head is the adapter's where it brings one, else the model's own. A model without a head
 * stays without one.
 *
 *     const adapted = await adaptedFromFile(model, await openAdapter(await openFolder("run/adapter")));
 *
 * @throws {GloraError} ADAPTER with everything that does not fit the model
 */
export async function adaptedFromFile(base: Model, file: AdapterFile): Promise<AdaptedModel> {
  const model = withHeadOf(base, file);
  const shapes = headShapes(model);
  const { a, genome, table, values, head } = await loadAdapter(file, model.layers, shapes);
  const own = head.length === 0 ? await ownHead(model, file) : head.flatMap((tensor) => [...tensor.values]);

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
  parameters.set(own, table.size);
  const layout = effectiveLayout(plans, layers);
  return { model, space, genome, table, plans, layout, tensors, headOffset: table.size, parameters };
}

/** The model with a new head for an adapter that brings the numbers of one. */
function withHeadOf(model: Model, { tensors, manifest }: AdapterFile): Model {
  const { name } = model.head ?? model.withHead(["any"]).head!;
  const outputs = tensors.get(`${name}.weight`)?.shape[0];
  if (outputs === undefined) return model;
  const own = model.labels?.length === outputs ? model.labels : undefined;
  return model.withHead(manifest.labels ?? own ?? Array.from({ length: outputs }, (_, i) => `LABEL_${i}`));
}

const headShapes = ({ head }: Model): { name: string; shape: readonly number[] }[] =>
  head
    ? [
        { name: `${head.name}.weight`, shape: [head.out, head.in] },
        { name: `${head.name}.bias`, shape: [head.out] },
      ]
    : [];

async function ownHead(model: Model, file: AdapterFile): Promise<ArrayLike<number>> {
  const own = await headWeights(model);
  if (own || !model.head) return own ?? [];
  throw new GloraError(
    "ADAPTER",
    `${file.name} brings no head, and the head of ${model.name} is new: nothing trained it.`,
    {
      file: file.name,
    },
  );
}

const only = ({ A, B, C, D, E }: Structure): LayerForms => ({ A: [A], B: [B], C: [C], D: [D], E: [E] });
