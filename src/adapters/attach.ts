/** Adapters between their files and the models that they adapt. */
import { rngStream } from "../base/rng.js";
import { headWeights, type Model } from "../models/model.js";
import { type AdaptedModel, fixedModel } from "./adapted-model.js";
import { type Adapter, type AdapterFile, loadAdapter } from "./adapter-file.js";
import type { Space } from "./space.js";
import type { Genome, LayerShape } from "./structure.js";

/**
 * A model with an adapter on it: the adapter's head where it has one, the model's own otherwise.
 *
 * @throws {GloraError} ADAPTER with everything that does not fit: layer, support, expected and found shape
 */
export async function attachAdapter(base: Model, file: AdapterFile): Promise<AdaptedModel> {
  const model = headOf(base, file);
  const adapter = await loadAdapter(file, base.layers, headTensors(model));
  const adapted = fixedModel(model, spaceOf(base, adapter), adapter.genome, rngStream(0, "replaced by the adapter"));
  adapted.parameters.set(adapter.values);
  if (adapter.head.length === 0) {
    const own = await headWeights(model);
    if (own) adapted.parameters.set(own, adapted.headOffset);
  }
  for (const { name, values } of adapter.head)
    adapted.parameters.set(values, adapted.tensors.find((tensor) => tensor.name === name)!.offset);
  return adapted;
}

/** The trained numbers of a fixed model as an adapter to save. */
export function toAdapter(adapted: AdaptedModel, facts: Pick<Adapter, "base" | "training">): Adapter {
  const { model, parameters, table, tensors, headOffset, genome, space } = adapted;
  const { kind: _, ...preprocessing } = model.input;
  return {
    a: space.a,
    genome: genome!,
    table,
    values: parameters.slice(0, headOffset),
    head: tensors
      .slice(table.tensors.length)
      .map(({ name, shape, offset, length }) => ({ name, shape, values: parameters.slice(offset, offset + length) })),
    ...(model.labels && { labels: model.labels }),
    preprocessing,
    ...facts,
  };
}

/** The head that the adapter carries: a new one of its labels, or of its own count of outputs, where it differs. */
function headOf(base: Model, { manifest, tensors }: AdapterFile): Model {
  const { labels } = manifest;
  const same = labels === undefined || (base.labels && String(labels) === String(base.labels));
  if (same && base.head) return base;
  if (labels) return base.withHead(labels);
  const weight = [...tensors.values()].find(({ name }) => name === `${base.withHead([""]).head!.name}.weight`);
  return weight ? base.withHead(Array.from({ length: weight.shape[0] ?? 0 }, (_, i) => `LABEL_${i}`)) : base;
}

const headTensors = ({ head }: Model) =>
  head
    ? [
        { name: `${head.name}.weight`, shape: [head.out, head.in] },
        { name: `${head.name}.bias`, shape: [head.out] },
      ]
    : [];

/** The space of one genome: each support has the form that it has. */
function spaceOf(model: Model, { genome, a }: { readonly genome: Genome; readonly a: Adapter["a"] }): Space {
  const layers: readonly LayerShape[] = model.layers.filter(({ name }) => genome.has(name));
  return {
    a,
    layers,
    forms: new Map(
      layers.map(({ name }) => {
        const { A, B, C, D, E } = genome.get(name)!;
        return [name, { A: [A], B: [B], C: [C], D: [D], E: [E] }];
      }),
    ),
  };
}
