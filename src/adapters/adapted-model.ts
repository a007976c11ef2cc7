/**
 * The trained numbers of an adapted model and how they enter its graph: the stored supports of a supernet or of one
 * genome, and the head, in one flat buffer.
 */
import { GloraError } from "../base/errors.js";
import type { Rng } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { headTensors, type Model } from "../models/model.js";
import type { Weight } from "../models/weights.js";
import { INPUTS } from "./adapted-graph.js";
import {
  buildEffective,
  choices,
  type EffectiveLayout,
  effectiveLayout,
  type Plans,
  planOf,
  pullBackAll,
  supernetPlan,
} from "./effective.js";
import { sizeOf } from "./forms/index.js";
import { fixedTable, inherit, initialise, type ParameterTable, supernetTable, usedTensors } from "./parameters.js";
import type { Space } from "./space.js";
import { type FormKind, type Genome, kindOf } from "./structure.js";

/** One trained tensor: a stored support, or the head's weight or bias. */
export interface TrainedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

export interface AdaptedModel {
  readonly model: Model;
  readonly space: Space;
  /** Present where the structure is fixed; a supernet takes any genome of its space. */
  readonly genome: Genome | undefined;
  readonly table: ParameterTable;
  readonly plans: Plans;
  readonly layout: EffectiveLayout;
  readonly tensors: readonly TrainedTensor[];
  /** The head's tensors are the last: this is where they begin. */
  readonly headOffset: number;
  /** Stored supports in the layout of `table`, then the tensors of a trained head: weights [out, in] and biases [out]. */
  readonly parameters: Float32Array;
  /** Weights of the base that an adapter of another library brings whole: `model` has them already. */
  readonly replaced?: ReadonlyMap<string, Weight>;
}

/** Every form of the space in one model: entangled supports, one graph for all genomes. */
export const supernet = (model: Model, space: Space, rng: Rng): AdaptedModel =>
  assemble(model, space, undefined, supernetTable(space), supernetPlan(space), rng);

/** One structure for each layer, in the cheapest exact arithmetic. */
export const fixedModel = (model: Model, space: Space, genome: Genome, rng: Rng): AdaptedModel =>
  assemble(model, space, genome, fixedTable(genome, space.layers, space.a), planOf(genome, space.layers, space.a), rng);

/** The fixed model of one genome of a supernet, with the values that it inherits. */
export function inheritedModel(net: AdaptedModel, genome: Genome, rng: Rng): AdaptedModel {
  const fixed = fixedModel(net.model, net.space, genome, rng);
  fixed.parameters.set(inherit(net.parameters, net.table, fixed.table));
  fixed.parameters.set(net.parameters.subarray(net.headOffset), fixed.headOffset);
  return fixed;
}

function assemble(
  model: Model,
  space: Space,
  genome: Genome | undefined,
  table: ParameterTable,
  plans: Plans,
  rng: Rng,
): AdaptedModel {
  if (!model.head && model.loss !== "cosine")
    throw new GloraError("MODEL", `${model.name} has no head to train: give it a task first.`);
  const supports = initialise(table, rng);
  const head = headTensors(model.head);
  const tensors: TrainedTensor[] = table.tensors.map(({ name, shape, offset }) => ({
    name,
    shape,
    offset,
    length: sizeOf(shape),
  }));
  let offset = table.size;
  for (const { name, shape } of head) {
    tensors.push({ name, shape, offset, length: sizeOf(shape) });
    offset += sizeOf(shape);
  }
  const parameters = new Float32Array(offset);
  parameters.set(supports);
  // A new head as timm and transformers initialise it: weights normal of deviation 0.02, biases zero.
  for (const { shape, offset, length } of tensors.slice(table.tensors.length))
    if (shape.length === 2) for (let i = offset; i < offset + length; i++) parameters[i] = 0.02 * rng.normal();
  const layout = effectiveLayout(plans, space.layers);
  return { model, space, genome, table, plans, layout, tensors, headOffset: table.size, parameters };
}

/** The structure that a step or an evaluation runs: the fixed one, or the one given for a supernet. */
function genomeOf(adapted: AdaptedModel, genome: Genome | undefined): Genome {
  const chosen = adapted.genome ?? genome;
  if (!chosen) throw new GloraError("GRAPH", "A supernet runs one genome at a time: none was given.");
  return chosen;
}

/** The graph inputs that carry a genome's effective tensors, the head, and the choices of a supernet. */
export function trainableFeeds(adapted: AdaptedModel, genome?: Genome): Record<string, Tensor> {
  const chosen = genomeOf(adapted, genome);
  const { parameters, table, layout, headOffset, plans } = adapted;
  const packed = new Float32Array(layout.size + parameters.length - headOffset);
  buildEffective(parameters, table, chosen, layout, packed.subarray(0, layout.size));
  packed.set(parameters.subarray(headOffset), layout.size);
  const feeds: Record<string, Tensor> = {};
  // An adapter of which nothing acts, on a model without a trained head, has no such input.
  if (packed.length > 0) feeds[INPUTS.trainable] = { dtype: "float32", shape: [packed.length], data: packed };
  const bits = choices(chosen, plans);
  if (bits.length > 0) feeds[INPUTS.choices] = { dtype: "bool", shape: [bits.length], data: bits };
  return feeds;
}

/** Gradients of `parameters` from the packed gradient of the graph; zero for tensors that the genome does not use. */
export function pullBack(adapted: AdaptedModel, packed: Float32Array, out: Float32Array, genome?: Genome): void {
  const { parameters, table, layout, headOffset } = adapted;
  const effective = packed.subarray(0, layout.size);
  pullBackAll(effective, parameters, table, genomeOf(adapted, genome), layout, out.subarray(0, headOffset));
  out.set(packed.subarray(layout.size), headOffset);
}

/** For each trained tensor 1 where the genome uses it; the head always. */
export function usedByGenome(adapted: AdaptedModel, genome?: Genome): Uint8Array {
  const used = new Uint8Array(adapted.tensors.length).fill(1);
  used.set(usedTensors(genomeOf(adapted, genome), adapted.table));
  return used;
}

/**
 * How far a step of equal size in each trained tensor moves its layer's output, inverted: what makes learning rates equal.
 *
 * Adam moves every number by about the rate. E and a vector A then move an output by about as much, low-rank factors by a
 * little more. But C acts through W·C and a vector or scalar B through the sum of the inputs: sums of `in` terms, about
 * √in as large where weights are of variance 1/in and inputs of variance 1. Their rate is divided by √in.
 */
export function balancedRates(adapted: AdaptedModel, genome?: Genome): number[] {
  const chosen = genomeOf(adapted, genome);
  const inputs = new Map(adapted.space.layers.map((layer) => [layer.name, layer.in]));
  return adapted.tensors.map((_, i) => {
    const stored = adapted.table.tensors[i];
    if (!stored) return 1;
    const { layer, support } = stored;
    const kind = kindOf(chosen.get(layer)?.[support] ?? "none");
    const summed = support === "C" || (support === "B" && (kind === "vector" || kind === "scalar"));
    return summed ? 1 / Math.sqrt(inputs.get(layer)!) : 1;
  });
}

/** The kind of form in which the genome uses each trained tensor: what a learning rate may depend on. */
export function formKinds(adapted: AdaptedModel, genome?: Genome): (FormKind | "head")[] {
  const chosen = genomeOf(adapted, genome);
  return adapted.tensors.map((_, i) => {
    const stored = adapted.table.tensors[i];
    return stored ? kindOf(chosen.get(stored.layer)?.[stored.support] ?? "none") : "head";
  });
}
