import { GloraError } from "../base/errors.js";
import type { Rng } from "../base/rng.js";
import { ruleOf, sizeOf } from "./forms/index.js";
import type { Part, StoredTensor, StoredView } from "./forms/rule.js";
import { formsOf, type Space } from "./space.js";
import {
  type AForm,
  type Genome,
  kindOf,
  type LayerShape,
  rankOf,
  SUPPORTS,
  type Support,
  supportShape,
} from "./structure.js";

/** One trained tensor among the flat parameters. */
export interface StoredParameter {
  /** `<layer>.<support>.<part>`, as in an adapter file. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Its first element. */
  readonly offset: number;
  readonly layer: string;
  readonly support: Support;
  readonly part: Part;
}

/** The layout of the stored supports in one flat Float32Array of `size` elements. */
export interface ParameterTable {
  readonly a: AForm;
  readonly tensors: readonly StoredParameter[];
  readonly size: number;
  /** The same tensors by layer and support. */
  readonly views: ReadonlyMap<string, Readonly<Partial<Record<Support, StoredView>>>>;
}

/**
 * The entangled layout of a supernet: one set of tensors a support serves all its forms. Low rank r is the first r
 * columns and rows of Xd and Xu, `vector` is column 0 of Xd, `scalar` its first element (D, E: of X). Only what some
 * form of the space needs is there.
 */
export function supernetTable(space: Space): ParameterTable {
  return layOut(space.layers, space.a, (layer, support) => {
    const forms = formsOf(space, layer.name)[support];
    const kinds = new Set(forms.map(kindOf));
    const rank = Math.max(...forms.map(rankOf));
    const [rows, columns] = supportShape(support, layer, space.a);
    const used = kinds.has("lora") || kinds.has("vector") ? rows : 1;
    if (kinds.size === 1 && kinds.has("none")) return [];
    if (support === "D" || support === "E") return [{ part: "X", shape: [used] }];
    const down: StoredTensor = { part: "Xd", shape: [used, Math.max(rank, 1)] };
    return rank === 0 ? [down] : [down, { part: "Xu", shape: [rank, columns] }];
  });
}

/** The layout of one genome's own tensors, as an adapter file holds them. */
export const fixedTable = (genome: Genome, layers: Iterable<LayerShape>, a: AForm): ParameterTable =>
  layOut(layers, a, (layer, support) => ruleOf(genome.get(layer.name)?.[support] ?? "none").stored(support, layer, a));

function layOut(
  layers: Iterable<LayerShape>,
  a: AForm,
  stored: (layer: LayerShape, support: Support) => readonly StoredTensor[],
): ParameterTable {
  const tensors: StoredParameter[] = [];
  const views = new Map<string, Partial<Record<Support, StoredView>>>();
  let size = 0;
  for (const layer of layers) {
    const ofLayer: Partial<Record<Support, StoredView>> = {};
    for (const support of SUPPORTS) {
      for (const { part, shape } of stored(layer, support)) {
        tensors.push({
          name: `${layer.name}.${support}.${part}`,
          shape,
          offset: size,
          layer: layer.name,
          support,
          part,
        });
        ofLayer[support] =
          part === "Xu" ? { ...ofLayer[support]!, up: size } : { down: size, stride: shape[1] ?? 1, up: -1 };
        size += sizeOf(shape);
      }
    }
    views.set(layer.name, ofLayer);
  }
  return { a, tensors, size, views };
}

/**
 * Initial values: Xu uniform in ±√(6 / (rows + columns)) (Xavier; fans as torch.nn.init.xavier_uniform_ takes them from
 * the 2-D shape), the rest zero. Whatever the structure, the adapted model then equals the frozen one exactly.
 */
export function initialise(table: ParameterTable, rng: Rng): Float32Array {
  const values = new Float32Array(table.size);
  for (const { part, shape, offset } of table.tensors) {
    if (part !== "Xu") continue;
    const bound = Math.sqrt(6 / (shape[0]! + shape[1]!));
    for (let i = 0; i < sizeOf(shape); i++) values[offset + i] = bound * (2 * rng.uniform() - 1);
  }
  return values;
}

/** For each tensor of the table 1 where the genome uses it: `vector` and `scalar` touch Xd, not Xu. */
export function usedTensors(genome: Genome, table: ParameterTable): Uint8Array {
  return Uint8Array.from(table.tensors, ({ layer, support, part }) => {
    const form = genome.get(layer)?.[support] ?? "none";
    return part === "Xu" ? Number(rankOf(form) > 0) : Number(form !== "none");
  });
}

/** The supernet's values of one genome, in the layout of its own {@link fixedTable}. */
export function inherit(supernet: Float32Array, table: ParameterTable, fixed: ParameterTable): Float32Array {
  const values = new Float32Array(fixed.size);
  eachShared(fixed, table, (own, shared) => {
    values[own] = supernet[shared]!;
  });
  return values;
}

/** The reverse: writes a genome's own values into a supernet, whose other values stay as they are (warm start). */
export function embed(
  values: Float32Array,
  fixed: ParameterTable,
  supernet: Float32Array,
  table: ParameterTable,
): void {
  eachShared(fixed, table, (own, shared) => {
    supernet[shared] = values[own]!;
  });
}

/** Visits every element of a genome's own tensors with the supernet's element that it is entangled with. */
function eachShared(
  fixed: ParameterTable,
  supernet: ParameterTable,
  visit: (own: number, shared: number) => void,
): void {
  const byName = new Map(supernet.tensors.map((tensor) => [tensor.name, tensor]));
  for (const { layer, support, part, shape, offset } of fixed.tensors) {
    const prefix = `${layer}.${support}.`;
    const shared = byName.get(prefix + part) ?? (part === "X" ? byName.get(`${prefix}Xd`) : undefined);
    const [rows, columns = 1] = shape as [number, number?];
    const stride = shared?.shape[1] ?? 1;
    if (!shared || rows > shared.shape[0]! || columns > stride) {
      throw new GloraError(
        "ADAPTER",
        `Support ${support} of "${layer}" does not fit the space: expected at most ` +
          `${shared ? `[${shared.shape.join(", ")}]` : "nothing"} for ${part}, found [${shape.join(", ")}]. ` +
          "Offer this form, or a rank at least as large, in the space.",
        { layer, support, expected: shared?.shape, actual: shape },
      );
    }
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) visit(offset + i * columns + j, shared.offset + i * stride + j);
    }
  }
}
