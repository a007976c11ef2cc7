/**
 * `glora` files of LyCORIS: W' = W + γ · (W·A + B), A and B low-rank, γ = alpha / rank. That is our product form.
 *
 * From version 3 on A = a1·a2 with a1 [in, r] and a2 [r, in], B = b1·b2 with b1 [out, r] and b2 [r, in]; up to 1.8 both were
 * stored the other way round, A = a2·a1 and B = b2·b1. Nothing in a file names its version, but shapes tell the order, unless
 * r = in = out in every layer.
 *
 * @see https://github.com/KohakuBlueleaf/LyCORIS, lycoris/modules/glora.py (1.8.2 and 4.1.3)
 */
import type { TensorEntry } from "../../formats/safetensors.js";
import type { Model } from "../../models/model.js";
import { sizeOf } from "../forms/index.js";
import { NO_CHANGE } from "../structure.js";
import { type ForeignAdapter, type ForeignModule, refuse } from "./foreign.js";
import { type ModuleNames, moduleNames } from "./module-names.js";
import { readNumber, scaled } from "./tensors.js";

/** Whether a file holds what only LyCORIS' glora does. */
export const isLycoris = (tensors: ReadonlyMap<string, TensorEntry>): boolean =>
  [...tensors.keys()].some((name) => name.endsWith(".a1.weight"));

const FACTORS = ["a1", "a2", "b1", "b2"] as const;
type Factor = (typeof FACTORS)[number];
type Module = Readonly<Record<Factor, TensorEntry>> & { readonly alpha?: TensorEntry };

/** @throws {GloraError} ADAPTER with every tensor that is not known, or whose module the model has not */
export async function readLycoris(
  { name, tensors }: { readonly name: string; readonly tensors: ReadonlyMap<string, TensorEntry> },
  model: Model,
): Promise<ForeignAdapter> {
  const flat = modulesOf(name, tensors);
  const named = nameModules(name, flat, moduleNames(model));
  const order = orderOf(name, flat, (key) => widthsOf(named.get(key)!, model));
  const modules = new Map<string, ForeignModule>();
  for (const [key, factors] of flat) modules.set(named.get(key)!, await readModule(factors, order));
  return { name, a: "product", tied: false, modules, whole: [] };
}

function modulesOf(file: string, tensors: ReadonlyMap<string, TensorEntry>): Map<string, Module> {
  const found = new Map<string, Partial<Record<string, TensorEntry>>>();
  const problems: string[] = [];
  for (const entry of tensors.values()) {
    const [, module, part] = /^([^.]+)\.(?:(a1|a2|b1|b2)\.weight|alpha)$/.exec(entry.name) ?? [];
    if (module === undefined) problems.push(`${entry.name}: no tensor of LyCORIS' glora for a linear layer`);
    else found.set(module, { ...found.get(module), [part ?? "alpha"]: entry });
  }
  for (const [module, parts] of found) {
    const missing = FACTORS.filter((factor) => !parts[factor]);
    if (missing.length > 0) problems.push(`${module}: ${missing.join(", ")} missing`);
    else if (parts["alpha"] && sizeOf(parts["alpha"].shape) !== 1)
      problems.push(`${module}.alpha: one number is expected`);
    else if (FACTORS.some((factor) => parts[factor]!.shape.length !== 2))
      problems.push(`${module}: the factors of a convolution; only linear layers can be adapted`);
  }
  refuse(file, problems);
  return found as unknown as Map<string, Module>;
}

/** The model's modules; what stands in front of their names (`lycoris_`, `lora_unet_`) is the same for all. */
function nameModules(file: string, flat: ReadonlyMap<string, Module>, names: ModuleNames): Map<string, string> {
  const problems: string[] = [];
  const named = new Map<string, string>();
  const prefixes = new Map<string, string>();
  for (const key of flat.keys()) {
    const found = names.findFlat(key);
    if (found.length === 1) {
      named.set(key, found[0]!.module);
      prefixes.set(found[0]!.prefix, key);
    } else
      problems.push(
        `${key}: ${found.length === 0 ? "the model has no such module" : `could be ${found.map(({ module }) => module).join(" or ")}`}`,
      );
  }
  if (problems.length === 0 && prefixes.size > 1)
    problems.push(
      `${[...prefixes].map(([prefix, key]) => `${key} starts with "${prefix}"`).join(", ")}: the file is for another model`,
    );
  refuse(file, problems);
  return named;
}

type Order = "down first" | "up first";
const ORDERS: readonly Order[] = ["down first", "up first"];

interface Widths {
  readonly in: number;
  readonly out: number;
}

function widthsOf(module: string, { layers, weights }: Model): Widths | undefined {
  const [out, width] = weights.get(`${module}.weight`)?.shape ?? [];
  const layer = layers.find(({ name }) => name === module);
  return layer ?? (out !== undefined && width !== undefined ? { in: width, out } : undefined);
}

/** How the factors lie, as the shapes of all modules tell it. */
function orderOf(
  file: string,
  modules: ReadonlyMap<string, Module>,
  widths: (key: string) => Widths | undefined,
): Order {
  const problems: string[] = [];
  let possible = ORDERS;
  for (const [key, module] of modules) {
    const size = widths(key);
    const fitting = ORDERS.filter((order) => size && fits(module, order, size));
    possible = possible.filter((order) => fitting.includes(order));
    if (fitting.length > 0) continue;
    const shapes = FACTORS.map((factor) => `${factor} [${module[factor].shape.join(", ")}]`).join(", ");
    problems.push(`${key}: ${shapes} do not fit a layer [${size?.out}, ${size?.in}]`);
  }
  if (problems.length === 0 && possible.length === 2)
    problems.push(
      "every factor is square, so that nothing tells in which order they are multiplied; save another rank",
    );
  if (problems.length === 0 && possible.length === 0)
    problems.push("some modules hold their factors in one order, some in the other");
  refuse(file, problems);
  return possible[0]!;
}

/** Xd and Xu of A and B. */
const factorsOf = ({ a1, a2, b1, b2 }: Module, order: Order) =>
  order === "down first" ? { Ad: a1, Au: a2, Bd: b1, Bu: b2 } : { Ad: a2, Au: a1, Bd: b2, Bu: b1 };

function fits(module: Module, order: Order, widths: Widths): boolean {
  const { Ad, Au, Bd, Bu } = factorsOf(module, order);
  const rank = Ad.shape[1]!;
  const is = ({ shape }: TensorEntry, rows: number, columns: number) => shape[0] === rows && shape[1] === columns;
  return is(Ad, widths.in, rank) && is(Au, rank, widths.in) && is(Bd, widths.out, rank) && is(Bu, rank, widths.in);
}

async function readModule(module: Module, order: Order): Promise<ForeignModule> {
  const { Ad, Au, Bd, Bu } = factorsOf(module, order);
  const rank = Ad.shape[1]!;
  const alpha = module.alpha ? await readNumber(module.alpha) : 0;
  const factor = alpha === 0 ? 1 : alpha / rank; // LyCORIS takes an alpha of 0 for the rank
  return {
    structure: { ...NO_CHANGE, A: `lora_${rank}`, B: `lora_${rank}` },
    tensors: [
      await scaled(Ad, "A.Xd", factor),
      await scaled(Au, "A.Xu"),
      await scaled(Bd, "B.Xd", factor),
      await scaled(Bu, "B.Xu"),
    ],
  };
}
