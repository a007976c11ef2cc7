/** Adapters of other libraries, put into our terms for one model. */
import { GloraError } from "../../base/errors.js";
import { type Head, headTensors, type Model } from "../../models/model.js";
import { readWeight, type Weight } from "../../models/weights.js";
import type { AdapterFile, NamedTensor } from "../adapter-file.js";
import { sizeOf } from "../forms/index.js";
import { mergeLinear } from "../merge.js";
import { fixedTable } from "../parameters.js";
import { type AForm, type LayerShape, NO_CHANGE, type Structure, type Support } from "../structure.js";
import { moduleOf, trainedHead } from "./module-names.js";
import { memoryEntry } from "./tensors.js";

/** An adapter as another library trained it, its modules under our names. */
export interface ForeignAdapter {
  /** For messages. */
  readonly name: string;
  readonly a: AForm;
  /** An embedding that was trained whole is the output layer's weight too, where the base shares the two. */
  readonly tied: boolean;
  readonly modules: ReadonlyMap<string, ForeignModule>;
  /** Tensors of the base that were trained whole: biases, heads, modules that were saved. */
  readonly whole: readonly NamedTensor[];
}

/** The supports of one module; tensors are named `<support>.<part>`. */
export interface ForeignModule {
  readonly structure: Structure;
  readonly tensors: readonly NamedTensor[];
}

export interface Translated {
  readonly file: AdapterFile;
  /** Weights of the base that the adapter replaces: trained biases of norms, modules that were saved. */
  readonly replaced: ReadonlyMap<string, Weight>;
}

/**
 * Supports of the model's linear layers are kept as they are; those of other modules (a head, a patch embedding) are folded
 * into the module's weights. A bias that was trained whole becomes E: with b' = b̂ ⊙ (1 + D) + E and b̂ = b + δ, that
 * is E + δ ⊙ (1 + D). Tensors that equal the base's are left out.
 *
 * @throws {GloraError} ADAPTER with every tensor that the model has no place for
 */
export async function translate(foreign: ForeignAdapter, model: Model): Promise<Translated> {
  const head = trainedHead(model);
  const headNames = new Set(headTensors(head).map(({ name }) => name));
  const trunk = new Map(model.layers.map((layer) => [layer.name, layer]));
  const adapted = new Map([...foreign.modules].filter(([name]) => trunk.has(name)));
  const whole = new Map<string, NamedTensor>();
  const problems: string[] = [];

  for (const tensor of foreign.whole) {
    const layer = trunk.get(moduleOf(tensor.name));
    const wrong = tensor.values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) problems.push(`${tensor.name} holds ${tensor.values[wrong]} at element ${wrong}`);
    if (layer && tensor.name.endsWith(".bias") && sizeOf(tensor.shape) === layer.out) {
      const base = await ownValues(model, tensor.name);
      const module = withTrainedBias(adapted.get(layer.name), tensor.values, base);
      if (module) adapted.set(layer.name, module);
    } else if (headNames.has(tensor.name)) whole.set(tensor.name, tensor);
    else if (!model.weights.has(tensor.name)) problems.push(`${tensor.name}: ${NO_PLACE}`);
    else if (String(model.weights.get(tensor.name)!.shape) !== String(tensor.shape))
      problems.push(
        `${tensor.name}: expected [${model.weights.get(tensor.name)!.shape.join(", ")}], found [${tensor.shape.join(", ")}]`,
      );
    else whole.set(tensor.name, tensor);
  }
  for (const [name, module] of foreign.modules) {
    if (trunk.has(name)) continue;
    const folded = await fold(name, module, foreign.a, model, whole);
    if (typeof folded === "string") problems.push(`${name}: ${folded}`);
    else for (const tensor of folded) whole.set(tensor.name, tensor);
  }
  refuse(foreign.name, problems);

  const tensors: NamedTensor[] = [...adapted].flatMap(([name, module]) =>
    module.tensors.map((tensor) => ({ ...tensor, name: `${name}.${tensor.name}` })),
  );
  const replaced = new Map<string, Weight>();
  for (const tensor of whole.values()) {
    if (headNames.has(tensor.name)) tensors.push(tensor);
    else if (differ(tensor.values, await ownValues(model, tensor.name))) replaced.set(tensor.name, inline(tensor));
  }
  if (!foreign.tied) refuse(foreign.name, untied(model, replaced));
  if (tensors.some(({ name }) => headNames.has(name))) tensors.push(...(await restOfHead(head, model, whole)));
  const genome = new Map([...adapted].map(([name, { structure }]) => [name, structure]));
  return {
    file: {
      name: foreign.name,
      manifest: { a: foreign.a, genome },
      tensors: new Map(tensors.map((tensor) => [tensor.name, memoryEntry(foreign.name, tensor)])),
    },
    replaced,
  };
}

/** The model with weights that an adapter replaces, also when it is fitted to inputs of another size. */
export function withReplaced(model: Model, replaced: ReadonlyMap<string, Weight>): Model {
  if (replaced.size === 0) return model;
  return {
    ...model,
    weights: new Map([...model.weights, ...replaced]),
    fitInputs: async (inputs) => {
      const fitted = await model.fitInputs(inputs);
      // A resampled position embedding has another shape than the one that was replaced.
      const same = [...replaced].filter(
        ([name, { shape }]) => String(fitted.weights.get(name)?.shape) === String(shape),
      );
      return withReplaced(fitted, new Map(same));
    },
  };
}

async function ownValues(model: Model, name: string): Promise<Float32Array | undefined> {
  const weight = model.weights.get(name);
  return weight && readWeight(weight);
}

function withTrainedBias(
  module: ForeignModule = { structure: NO_CHANGE, tensors: [] },
  trained: Float32Array,
  base: Float32Array | undefined,
): ForeignModule | undefined {
  if (!differ(trained, base)) return undefined;
  const number = (support: Support, i: number): number => {
    const values = module.tensors.find(({ name }) => name === `${support}.X`)?.values;
    return values ? values[values.length === 1 ? 0 : i]! : 0;
  };
  const values = trained.map((value, i) => number("E", i) + (value - (base?.[i] ?? 0)) * (1 + number("D", i)));
  return {
    structure: { ...module.structure, E: "vector" },
    tensors: [...module.tensors.filter(({ name }) => name !== "E.X"), { name: "E.X", shape: [values.length], values }],
  };
}

const differ = (a: Float32Array, b: Float32Array | undefined): boolean =>
  b === undefined || a.length !== b.length || a.some((value, i) => value !== b[i]);

const NO_PLACE = "the model has no such weight";

/** A module's weights with its supports folded in, or why that cannot be. */
async function fold(
  name: string,
  module: ForeignModule,
  a: AForm,
  model: Model,
  whole: ReadonlyMap<string, NamedTensor>,
): Promise<NamedTensor[] | string> {
  const find = async (part: "weight" | "bias"): Promise<NamedTensor | undefined> => {
    const trained = whole.get(`${name}.${part}`);
    const weight = model.weights.get(`${name}.${part}`);
    return trained ?? (weight && { name: `${name}.${part}`, shape: weight.shape, values: await readWeight(weight) });
  };
  const [weight, bias] = [await find("weight"), await find("bias")];
  if (!weight || weight.shape.length < 2) return NO_PLACE;
  const out = weight.shape[0]!;
  const layer: LayerShape = { name, in: sizeOf(weight.shape) / out, out, bias: bias !== undefined, addableBias: false };
  const { structure } = module;
  if (!bias && (structure.C !== "none" || structure.E !== "none")) return "C or E acts on it, and it has no bias";

  const table = fixedTable(new Map([[name, structure]]), [layer], a);
  const values = new Float32Array(table.size);
  for (const { support, part, shape, offset } of table.tensors) {
    const stored = module.tensors.find((tensor) => tensor.name === `${support}.${part}`);
    if (stored?.values.length !== sizeOf(shape))
      return `support ${support}: expected ${part} of shape [${shape.join(", ")}], found ${stored ? `[${stored.shape.join(", ")}]` : "none"}`;
    values.set(stored.values, offset);
  }
  const frozen = bias ? { W: weight.values, b: bias.values } : { W: weight.values };
  const merged = mergeLinear(layer, frozen, structure, values, table);
  return [{ ...weight, values: merged.W }, ...(bias ? [{ ...bias, values: merged.b! }] : [])];
}

/** Whether a module is an output layer that has no weights but the embedding's. */
export const isSharedHead = (module: string, { head, weights }: Model): boolean =>
  head !== undefined &&
  !head.trained &&
  head.layers.some(({ name }) => name === module) &&
  !weights.has(`${module}.weight`);

/** Embeddings that the adapter replaces for the input alone, where the model has one for input and output. */
function untied({ head, weights }: Model, replaced: ReadonlyMap<string, Weight>): string[] {
  if (!head || head.trained || weights.has(`${head.layers[0]!.name}.weight`)) return [];
  return [...replaced].flatMap(([name, { shape }]) =>
    String(shape) === String([head.out, head.in])
      ? [`${name}: the model's output layer shares these weights, and the adapter replaces them for the input alone`]
      : [],
  );
}

/** What the adapter leaves of a head's tensors as the base has them. */
async function restOfHead(
  head: Head | undefined,
  model: Model,
  brought: ReadonlyMap<string, NamedTensor>,
): Promise<NamedTensor[]> {
  const rest: NamedTensor[] = [];
  for (const { name, shape } of headTensors(head)) {
    const values = brought.has(name) ? undefined : await ownValues(model, name);
    if (values) rest.push({ name, shape, values });
  }
  return rest;
}

const inline = ({ shape, values }: NamedTensor): Weight => ({
  shape,
  data: {
    kind: "inline",
    dtype: "float32",
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  },
});

/** One error for everything of another library's adapter that has no place in the model or in our terms. */
export function refuse(adapter: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const shown = problems.slice(0, 20).map((problem) => `\n  - ${problem}`);
  if (problems.length > 20) shown.push(`\n  … and ${problems.length - 20} more`);
  throw new GloraError("ADAPTER", `The adapter ${adapter} cannot be put on this model:${shown.join("")}`, {
    file: adapter,
    problems,
  });
}
