/**
 * GLoRA adapters on disk: a folder of `adapter.json` (what was trained, and on what) and `adapter.safetensors` (the
 * stored supports of one structure, and the head). The format is written down in docs/adapter-format.md.
 */
import { GloraError } from "../base/errors.js";
import { fromFloat32 } from "../base/float.js";
import { Fields, type Size, throwProblems } from "../formats/fields.js";
import { type Folder, parseJson, readText } from "../formats/folder.js";
import { readFloat32, readSafetensors, type TensorEntry } from "../formats/safetensors.js";
import { encodeSafetensors } from "../formats/safetensors-writer.js";
import { duplicateKey } from "../formats/unique-json.js";
import type { Model } from "../models/model.js";
import { sizeOf } from "./forms/index.js";
import type { Translated } from "./interchange/foreign.js";
import { openForeign } from "./interchange/open.js";
import { fixedTable, type ParameterTable, type StoredParameter } from "./parameters.js";
import {
  type AForm,
  type Form,
  type Genome,
  genomeToJson,
  kindsOf,
  type LayerShape,
  NO_CHANGE,
  parseForm,
  type Structure,
  SUPPORTS,
  type Support,
} from "./structure.js";

const ADAPTER_TENSORS = "adapter.safetensors";
export const ADAPTER_MANIFEST = "adapter.json";
const FORMAT = "glora-adapter";
const VERSION = 1;

/** The model that an adapter was trained on. */
export interface AdapterBase {
  readonly name: string;
  /** SHA-256 of its weight files by their name, in lower-case hexadecimal. */
  readonly sha256: Readonly<Record<string, string>>;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** What `adapter.json` says. Only structure and form of A are always there. */
interface AdapterManifest {
  readonly a: AForm;
  readonly genome: Genome;
  readonly base?: AdapterBase;
  /** Names of the head's classes, in order. */
  readonly labels?: readonly string[];
  /** What its outputs are. Default: classes. */
  readonly task?: "classes" | "multi-label" | "regression";
  /** Pixels [height, width] of the images that it was trained on. */
  readonly imageSize?: Size;
  /** How inputs were prepared, as the data's own options say it. */
  readonly preprocessing?: JsonObject;
  /** Facts about the training, for people. */
  readonly training?: JsonObject;
}

/** A tensor under its own name. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A trained adapter in memory. */
export interface Adapter extends AdapterManifest {
  readonly table: ParameterTable;
  /** Stored supports in the layout of `table`, the genome's own. */
  readonly values: Float32Array;
  /** The head's tensors; empty where the base's own head is used. */
  readonly head: readonly NamedTensor[];
}

/** An adapter's folder, opened: its manifest is read, of its tensors only names and shapes. */
export interface AdapterFile {
  readonly name: string;
  readonly manifest: AdapterManifest;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Present for an adapter of another library: puts it into our terms for a model. Its manifest then says nothing yet. */
  readonly translate?: (model: Model) => Promise<Translated>;
}

/**
 * Opens an adapter, so that a caller can see its labels and shapes before the model is made ready for it. Adapters of other
 * libraries are taken as well (docs/interchange.md): PEFT's LoRA and GLORA folders, and LyCORIS' glora files.
 *
 * @throws {GloraError} FILE if a file is missing or broken, CONFIG if `adapter.json` says what this version cannot read
 */
export async function openAdapter(folder: Folder): Promise<AdapterFile> {
  if (!(await folder.open(ADAPTER_MANIFEST))) {
    const foreign = await openForeign(folder);
    if (foreign) return foreign;
  }
  const manifest = parseManifest(await readText(folder, ADAPTER_MANIFEST), `${folder.name}/${ADAPTER_MANIFEST}`);
  const source = await folder.open(ADAPTER_TENSORS);
  if (!source) {
    throw new GloraError("FILE", `${folder.name}: has no ${ADAPTER_TENSORS}.`, {
      folder: folder.name,
      file: ADAPTER_TENSORS,
    });
  }
  return { name: folder.name, manifest, tensors: (await readSafetensors(source)).tensors };
}

function parseManifest(text: string, file: string): AdapterManifest {
  const fields = new Fields(parseJson(text, file));
  const twice = duplicateKey(text);
  if (twice !== undefined) fields.problems.push(`${JSON.stringify(twice)} occurs twice in one object`);
  if (fields.has("format") && fields.raw("format") !== FORMAT) {
    fields.refuse("format", `${JSON.stringify(FORMAT)} is expected, not ${JSON.stringify(fields.raw("format"))}`);
  } else if (fields.has("version") && fields.raw("version") !== VERSION) {
    const found = JSON.stringify(fields.raw("version"));
    fields.refuse(
      "version",
      `this program reads version ${VERSION}, not ${found}; update it, or save the adapter anew`,
    );
  } else {
    for (const key of ["format", "version", "layers"]) if (!fields.has(key)) fields.refuse(key, "is missing");
  }
  // Of another format or version nothing else is understood.
  throwProblems("CONFIG", file, fields.problems);

  const a = fields.choice<AForm>("a", "elementwise", { elementwise: "elementwise", product: "product" });
  const labels = fields.raw("labels");
  if (labels !== undefined && !isTexts(labels)) fields.refuse("labels", "a list of texts is expected");
  else checkUnique(fields, labels);
  const task = fields.choice("task", "classes", {
    classes: "classes",
    "multi-label": "multi-label",
    regression: "regression",
  } as const);
  const layers = fields.object("layers");
  const genome = new Map(layers.keys.map((name) => [name, parseStructure(layers.object(name), a)]));
  const imageSize = fields.has("imageSize") && fields.size("imageSize");
  const preprocessing = fields.has("preprocessing") && fields.object("preprocessing");
  const training = fields.has("training") && fields.object("training");
  const base = fields.has("base") && parseBase(fields.object("base"));
  throwProblems("CONFIG", file, fields.problems);
  return {
    a,
    genome,
    ...(base && { base }),
    ...(labels !== undefined && { labels: labels as readonly string[] }),
    ...(task !== "classes" && { task }),
    ...(imageSize && { imageSize }),
    ...(preprocessing && { preprocessing: fields.raw("preprocessing") as JsonObject }),
    ...(training && { training: fields.raw("training") as JsonObject }),
  };
}

/** Of two classes of one name a prediction would not say which, and transformers' label2id loses one. */
function checkUnique(fields: Fields, labels: readonly string[] = []): void {
  const seen = new Set<string>();
  const again = labels.find((label) => seen.size === seen.add(label).size);
  if (again !== undefined)
    fields.refuse("labels", `${JSON.stringify(again)} occurs twice; each class needs its own name`);
}

function parseStructure(fields: Fields, a: AForm): Structure {
  const structure: Record<Support, Form> = { ...NO_CHANGE };
  for (const key of fields.keys) {
    const support = SUPPORTS.find((name) => name === key);
    if (!support) {
      fields.refuse(key, `no such support; ${SUPPORTS.join(", ")} are known`);
      continue;
    }
    if (!fields.has(key)) continue; // null
    const form = parseForm(fields.raw(key), support, a);
    if (form) structure[support] = form;
    else {
      const known = kindsOf(support, a).map((kind) => (kind === "lora" ? "lora_<rank>" : kind));
      fields.refuse(key, `one of ${known.join(", ")} is expected, not ${JSON.stringify(fields.raw(key))}`);
    }
  }
  return structure;
}

function parseBase(fields: Fields): AdapterBase {
  const hashes = fields.object("sha256");
  return {
    name: fields.text("name", ""),
    sha256: Object.fromEntries(hashes.keys.map((file) => [file, hashes.text(file)])),
  };
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((text) => typeof text === "string");

/** A tensor, layer or support that does not fit the model. */
interface Misfit {
  readonly text: string;
  readonly layer?: string;
  readonly support?: Support;
  readonly expected?: readonly number[];
  readonly actual?: readonly number[];
}

/**
 * Reads an adapter's numbers for a model. Layers and supports that the adapter does not name stay unchanged. C, D and E
 * are taken on every layer, also where training would not offer them.
 *
 * @param layers  the model's linear layers
 * @param head    names and shapes of its head's tensors; the adapter holds all of them or none
 * @throws {GloraError} ADAPTER with everything that does not fit: layer, support, expected and found shape
 */
export async function loadAdapter(
  file: AdapterFile,
  layers: readonly LayerShape[],
  head: readonly Pick<NamedTensor, "name" | "shape">[] = [],
): Promise<Adapter> {
  const { manifest, tensors } = file;
  const adapted = layers.filter(({ name }) => manifest.genome.has(name));
  const genome: Genome = new Map(adapted.map(({ name }) => [name, manifest.genome.get(name)!]));
  const table = fixedTable(genome, adapted, manifest.a);
  const heads = head.some(({ name }) => tensors.has(name)) ? head : [];
  refuseMisfits(file, [
    ...unknownLayers(manifest.genome, layers),
    ...table.tensors.flatMap((tensor) => shapeMisfit(tensors, tensor, supportText(tensor, genome))),
    ...heads.flatMap((tensor) => shapeMisfit(tensors, tensor, `The head's ${tensor.name}`)),
    ...leftovers(file, layers, new Set([...table.tensors, ...heads].map(({ name }) => name))),
  ]);

  const values = new Float32Array(table.size);
  const misfits: Misfit[] = [];
  const read = async (name: string, text: string): Promise<Float32Array> => {
    const numbers = await readFloat32(tensors.get(name)!);
    const at = numbers.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) misfits.push({ text: `${text} holds ${numbers[at]} at element ${at}.` });
    return numbers;
  };
  for (const tensor of table.tensors) {
    values.set(await read(tensor.name, `${supportText(tensor, genome)}: ${tensor.name}`), tensor.offset);
  }
  const headTensors: NamedTensor[] = [];
  for (const { name, shape } of heads) {
    headTensors.push({ name, shape, values: await read(name, `The head's ${name}`) });
  }
  refuseMisfits(file, misfits);
  return { ...manifest, genome, table, values, head: headTensors };
}

const supportText = ({ layer, support }: StoredParameter, genome: Genome): string =>
  `Support ${support} of "${layer}" (${genome.get(layer)![support]})`;

function shapeMisfit(
  tensors: AdapterFile["tensors"],
  expected: Pick<StoredParameter, "name" | "shape"> & Partial<StoredParameter>,
  what: string,
): Misfit[] {
  const { name, shape, layer, support } = expected;
  const found = tensors.get(name);
  if (found && String(found.shape) === String(shape)) return [];
  const text = `${what} does not fit: expected ${name} of shape ${show(shape)}, found ${found ? show(found.shape) : "none"}.`;
  return [
    {
      text,
      ...(layer && { layer }),
      ...(support && { support }),
      expected: shape,
      ...(found && { actual: found.shape }),
    },
  ];
}

function unknownLayers(genome: Genome, layers: readonly LayerShape[]): Misfit[] {
  const known = new Set(layers.map(({ name }) => name));
  return [...genome.keys()]
    .filter((name) => !known.has(name))
    .map((layer) => ({ layer, text: `Layer "${layer}" is not among the model's ${layers.length} linear layers.` }));
}

/** Tensors that nothing asks for; those of layers that are unknown are already told. */
function leftovers({ manifest, tensors }: AdapterFile, layers: readonly LayerShape[], asked: Set<string>): Misfit[] {
  const known = new Set(layers.map(({ name }) => name));
  return [...tensors.keys()].flatMap((name): Misfit[] => {
    if (asked.has(name)) return [];
    const [, layer, support] = /^(.+)\.([A-E])\.(?:X|Xd|Xu)$/.exec(name) ?? [];
    if (layer === undefined) return [{ text: `Tensor "${name}" is no support, and no tensor of the model's head.` }];
    if (!known.has(layer) && manifest.genome.has(layer)) return [];
    const form = manifest.genome.get(layer)?.[support as Support] ?? "none";
    const text = `Support ${support} of "${layer}" is ${form} in ${ADAPTER_MANIFEST}, but ${ADAPTER_TENSORS} holds ${name}.`;
    return [{ layer, support: support as Support, text }];
  });
}

/** Lines that an error prints; its details hold all. */
const SHOWN = 20;

function refuseMisfits(file: AdapterFile, misfits: readonly Misfit[]): void {
  if (misfits.length === 0) return;
  const lines = misfits.slice(0, SHOWN).map(({ text }) => `\n  ${text}`);
  if (misfits.length > SHOWN) lines.push(`\n  … and ${misfits.length - SHOWN} more`);
  const trained = file.manifest.base?.name;
  throw new GloraError(
    "ADAPTER",
    `The adapter ${file.name} does not fit this model:${lines.join("")}\n` +
      `Load the model that it was trained on${trained ? ` ("${trained}")` : ""}, or train an adapter on this one.`,
    { file: file.name, misfits },
  );
}

const show = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** The two files of an adapter. */
export function encodeAdapter(adapter: Adapter): ReadonlyMap<string, Uint8Array> {
  const { a, genome, base, labels, task, imageSize, preprocessing, training, table, values, head } = adapter;
  const supports = table.tensors.map(({ name, shape, offset }) => ({
    name,
    shape,
    values: values.subarray(offset, offset + sizeOf(shape)),
  }));
  const tensors = [...supports, ...head].map((tensor) => ({
    name: tensor.name,
    shape: tensor.shape,
    dtype: "F32" as const,
    data: fromFloat32(tensor.values, "F32"),
  }));
  const json = {
    format: FORMAT,
    version: VERSION,
    base,
    a,
    labels,
    ...(task !== undefined && task !== "classes" && { task }),
    layers: genomeToJson(genome),
    imageSize,
    preprocessing,
    training,
  };
  return new Map([
    [ADAPTER_TENSORS, encodeSafetensors(tensors)],
    [ADAPTER_MANIFEST, new TextEncoder().encode(`${JSON.stringify(json, undefined, 2)}\n`)],
  ]);
}
