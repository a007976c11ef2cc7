/** What a run was begun with, as its folder remembers it: a run goes on only with the same. */

import { PRESETS } from "../adapters/presets.js";
import { GloraError } from "../base/errors.js";
import type { Dataset } from "../data/dataset.js";
import { Fields, type Size, throwProblems } from "../formats/fields.js";
import { parseJson } from "../formats/folder.js";
import type { Model } from "../models/model.js";
import { fileOf, type RunStore, readStored } from "../training/store.js";
import type { FitOptions } from "./fit.js";

const FORMAT = "glora-run";
const VERSION = 1;
const CONFIG = "config.json";
export const DATA = "data.json";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

export interface RunConfig {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  readonly model: { readonly path: string; readonly device: string; readonly imageSize?: Size };
  readonly data: { readonly name: string };
  /** The options of `fit` that shape its result, defaults filled in. */
  readonly options: JsonObject;
  /** Versions of the software, and the folder that relative paths start from. Not compared. */
  readonly origin: JsonObject;
}

/** What a model was opened from, so that it can be opened again. */
export const placeOf = ({ folder, runtime, imageSize, imageSizeAsked }: Model): RunConfig["model"] => ({
  path: folder.path ?? folder.name,
  device: runtime.device,
  ...(imageSizeAsked && imageSize && { imageSize }),
});

/** The config of a fit, in plain JSON. */
export function configOf(model: Model, data: Dataset, o: FitOptions): RunConfig {
  const options = { ...DEFAULTS, ...plain(shaping(o)) };
  return plain({
    format: FORMAT,
    version: VERSION,
    model: placeOf(model),
    data: { name: data.name },
    options,
    origin: o.origin ?? {},
  }) as RunConfig;
}

/** Options that only say how a fit is watched, kept and interrupted. */
type Handling = "store" | "signal" | "onProgress" | "stopAfter" | "checkpointSeconds" | "origin";

/** The options that shape the result; the compiler asks here about every new one. */
const shaping = (o: FitOptions): Record<Exclude<keyof FitOptions, Handling>, unknown> => ({
  budget: o.budget,
  preset: o.preset,
  rank: o.rank,
  ranks: o.ranks,
  forms: o.forms,
  layers: o.layers,
  a: o.a,
  addBiases: o.addBiases,
  adapter: o.adapter?.name,
  modelConfig: o.modelConfig,
  recipe: o.recipe,
  maxSeconds: o.maxSeconds,
  train: o.train,
  search: o.search,
  taskFitness: o.taskFitness?.settings,
  further: o.further,
  plan: o.plan,
  seed: o.seed,
});

const DEFAULTS = { preset: "glora", recipe: "default", maxSeconds: 3600, seed: 0 };

/** As it is read back: without what is undefined. */
export const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/**
 * Compares what a run was begun with, if the store holds one, with what it is to go on with.
 *
 * @returns whether there is a run
 * @throws {GloraError} CONFIG with everything that differs
 */
export async function checkRun(store: RunStore, config: RunConfig, data: Dataset): Promise<boolean> {
  const stored = await readConfig(store);
  if (!stored) return false;
  const known = (await readDescription(store)) ?? {};
  const found = [
    ...differences(stored.model, config.model, "model"),
    ...differences(stored.options, config.options, "options"),
    ...dataDifferences(known, plain(data.describe()) as Json, "data"),
  ];
  refuseDifferences("run", found);
  return true;
}

/** @throws {GloraError} CONFIG naming them all, if there are any */
export function refuseDifferences(what: string, found: readonly string[]): void {
  if (found.length === 0) return;
  throw new GloraError(
    "CONFIG",
    `This ${what} was begun with other settings; it goes on only with its own:${found.map((line) => `\n  ${line}`).join("")}\n` +
      `Choose another folder for a new ${what}, or go on with the settings of this one.`,
    { differences: found },
  );
}

/** Makes the store a run: what its data is, and what it was begun with. */
export async function beginRun(store: RunStore, config: RunConfig, data: Dataset): Promise<void> {
  await store.write(DATA, `${JSON.stringify(data.describe(), null, 1)}\n`);
  await writeConfig(store, config); // last: where there is a config, the run is whole
}

/** @throws {GloraError} CONFIG if the file is of another format or version, or damaged */
export async function readConfig(store: RunStore): Promise<RunConfig | undefined> {
  const text = await readStored(store, CONFIG);
  if (text === undefined) return undefined;
  const file = fileOf(store, CONFIG);
  const config = parseJson(text, file);
  const fields = new Fields(config);
  const [format, version] = [fields.raw("format"), fields.raw("version")];
  if (format !== FORMAT || version !== VERSION)
    throw new GloraError(
      "CONFIG",
      `${file}: expected format "${FORMAT}", version ${VERSION}; found ${JSON.stringify(format)}, version ` +
        `${JSON.stringify(version)}.`,
      { file },
    );
  for (const key of ["model", "data", "options", "origin"])
    if (!fields.has(key)) fields.refuse(key, "is missing; an object is expected");
  const model = fields.object("model");
  for (const key of ["path", "device"]) model.text(key);
  if (model.has("imageSize")) model.size("imageSize");
  fields.object("data").text("name");
  fields.object("origin");
  checkOptions(fields.object("options"));
  throwProblems("CONFIG", file, fields.problems);
  return config as RunConfig;
}

/** The options that decide what is built before anything else looks at them. */
function checkOptions(options: Fields): void {
  options.choice("preset", "glora", Object.fromEntries(PRESETS.map((preset) => [preset, preset])));
  options.choice("recipe", "default", { default: "default", paper: "paper" });
  options.natural("seed", 0, 0);
  for (const key of ["train", "search"]) options.object(key);
  const budget = options.raw("budget");
  if (budget === undefined) return;
  if (typeof budget === "number") options.natural("budget", undefined, 0);
  else for (const end of ["min", "max"]) options.object("budget").natural(end, undefined, 0);
}

export const writeConfig = (store: RunStore, config: RunConfig): Promise<void> =>
  store.write(CONFIG, `${JSON.stringify(config, null, 2)}\n`);

/** What the run's data said of itself: which examples are in which split, and how they came there. */
export async function readDescription(store: RunStore): Promise<Json | undefined> {
  const text = await readStored(store, DATA);
  return text === undefined ? undefined : (parseJson(text, fileOf(store, DATA)) as Json);
}

/** Where a folder lies and which other files lie in it does not change the data; contents are compared file by file. */
const NOT_COMPARED = ["folder", "path", "ignored", "content"];

/** What differs between what the data said of itself and what it says now. */
export function dataDifferences(stored: Json, given: Json, place: string): string[] {
  const [before, now] = [stored, given].map((described) => (isObject(described) ? described["content"] : undefined));
  // A run that was begun before contents were kept has none.
  const changed =
    isObject(before) && isObject(now)
      ? Object.keys(now).filter((file) => before[file] !== undefined && before[file] !== now[file])
      : [];
  return [
    ...differences(comparable(stored), comparable(given), place),
    ...changed.map((file) => `${place}: the content of ${file} is another than when it was begun`),
  ];
}

const comparable = (description: Json): Json =>
  isObject(description)
    ? Object.fromEntries(Object.entries(description).filter(([key]) => !NOT_COMPARED.includes(key)))
    : description;

/** Items of a list that a difference names. */
const NAMED = 3;

/** What differs between the stored and the given value, a line for each place. */
export function differences(stored: Json | undefined, given: Json | undefined, place: string): string[] {
  if (isObject(stored) && isObject(given)) {
    const keys = new Set([...Object.keys(stored), ...Object.keys(given)]);
    return [...keys].flatMap((key) => differences(stored[key], given[key], `${place}.${key}`));
  }
  if (JSON.stringify(stored) === JSON.stringify(given)) return [];
  if (isFewNumbers(stored) && isFewNumbers(given)) return [`${place}: ${show(stored)} in the run, ${show(given)} now`];
  if (!Array.isArray(stored) || !Array.isArray(given))
    return [`${place}: ${show(stored)} in the run, ${show(given)} now`];
  const without = (all: readonly Json[], others: readonly Json[]) => {
    const known = new Set(others.map((item) => JSON.stringify(item)));
    return all.filter((item) => !known.has(JSON.stringify(item)));
  };
  const list = (items: readonly Json[]) =>
    `${items.length} (${items.slice(0, NAMED).map(show).join(", ")}${items.length > NAMED ? ", …" : ""})`;
  const [missing, added] = [without(stored, given), without(given, stored)];
  if (missing.length + added.length === 0) return [`${place}: the same items in another order`];
  const parts = [
    ...(missing.length > 0 ? [`of the run are missing now: ${list(missing)}`] : []),
    ...(added.length > 0 ? [`new since then: ${list(added)}`] : []),
  ];
  return [`${place}: ${parts.join("; ")}`];
}

const show = (value: Json | undefined): string => (value === undefined ? "not given" : JSON.stringify(value));

/** A size, a range, weights of classes: such numbers belong together. */
const isFewNumbers = (value: Json | undefined): boolean =>
  Array.isArray(value) && value.length <= 8 && value.every((item) => typeof item === "number");

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
