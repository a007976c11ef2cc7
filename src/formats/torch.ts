/** PyTorch's own files of weights: a pickle that describes tensors, and their bytes beside it. */
import { GloraError } from "../base/errors.js";
import { byteLength, type Dtype } from "./dtype.js";
import { Global, Opaque, type PickleReader, readPickle } from "./pickle.js";
import { refusePlaceholder } from "./placeholder.js";
import type { TensorEntry } from "./safetensors.js";
import type { ByteSource } from "./source.js";
import { gather, isRowMajor, madeEntry } from "./view.js";
import { type ByteRange, readZip } from "./zip.js";

/** Bytes; the pickle of a large model's state dict has some 100 KB. */
const LARGEST_PICKLE = 2 ** 26;
/** Bytes of a file of the old format that are read at first, to find its pickle in. */
const FIRST_READ = 2 ** 20;

/**
 * The state dict of a file that torch.save wrote: `.pth`, `.pt`, `.bin`; both today's ZIP archive and the stream of
 * PyTorch before 1.6. The pickle in it is read as a description and never run (see {@link readPickle}). A tensor without gaps
 * stays where it lies in the file; one with other strides (a transposed view) is rearranged in memory when it is asked for.
 * Tensors may share bytes.
 *
 * The state dict is the dictionary under "state_dict_ema", "model_ema", "state_dict", "model", "model_state" or
 * "model_state_dict" (the first four in timm's order), whatever tensors lie beside it; else the root if it holds tensors,
 * or else the only dictionary in it that does; a note names what is passed over. "module." and "_orig_mod." are taken off
 * its names if all have them, as DataParallel and torch.compile leave them.
 *
 * @throws {GloraError} "FILE" that says what is wrong: an instruction or a function that is not known (by name), a file
 *   that contradicts itself, no state dict, or several
 * @see torch/serialization.py, torch/_utils.py, torch/_tensor.py
 */
export async function readTorch(source: ByteSource): Promise<TorchFile> {
  const refuse = refusal(source);
  const begin = await source.read(0, Math.min(source.size, 2));
  const isZip = begin[0] === 0x50 && begin[1] === 0x4b;
  if (!isZip && begin[0] !== PROTO) {
    await refusePlaceholder(source);
    return refuse("it does not begin as a file of torch.save");
  }
  const { root, locate } = isZip ? await readArchive(source, refuse) : await readStream(source, refuse);
  const tensors = new Map<string, TensorEntry>();
  const { dictionary, note } = findStateDict(root, refuse);
  for (const [name, tensor] of unwrapped(tensorsOf(dictionary, refuse)))
    tensors.set(name, await toEntry(name, tensor, locate, source, refuse));
  return { tensors, notes: note === undefined ? [] : [`${source.name}: ${note}`] };
}

export interface TorchFile {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** For people: which state dicts of the file are not read. */
  readonly notes: readonly string[];
}

type Refuse = (what: string) => never;

const refusal =
  ({ name }: ByteSource): Refuse =>
  (what) => {
    throw new GloraError(
      "FILE",
      `${name}: cannot be read as PyTorch's weights: ${what}. Nothing in it was run. ` +
        "If you trust it, store the weights alone in Python: torch.save(model.state_dict(), file).",
      { file: name },
    );
  };

/** Numbers in a row: a whole stored one, or a part of it. */
class Storage {
  constructor(
    readonly dtype: Dtype,
    readonly key: string,
    /** Elements, and which of those under the key is the first. */
    readonly count: number,
    readonly start = 0,
  ) {}
}

/** A view of a storage; offset and strides in elements. */
class Tensor {
  constructor(
    readonly storage: Storage,
    readonly dtype: Dtype,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

interface Contents {
  readonly root: unknown;
  /** Where the bytes of a storage lie. */
  readonly locate: (storage: Storage) => Promise<ByteRange>;
}

const PROTO = 0x80;

/** Since PyTorch 1.6: NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder. */
async function readArchive(source: ByteSource, refuse: Refuse): Promise<Contents> {
  const entries = await readZip(source);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1)
    return refuse(`it is a ZIP archive with ${pickles.length} files */data.pkl; one is expected`);
  const folder = pickles[0]!.slice(0, -"data.pkl".length);
  if (entries.has(`${folder}constants.pkl`)) return refuse("it is a TorchScript program");
  const open = async (name: string, limit: number): Promise<Uint8Array> => {
    const entry = entries.get(folder + name)!;
    if (entry.size > limit) return refuse(`${name} has ${entry.size} bytes; the limit is ${limit}`);
    const { source: held, offset, length } = await entry.open();
    return held.read(offset, length);
  };
  if (entries.has(`${folder}byteorder`)) {
    const order = new TextDecoder().decode(await open("byteorder", 16));
    if (order !== "little") return refuse(`its byte order is ${JSON.stringify(order)}; "little" is expected`);
  }
  const found = readPickle(await open("data.pkl", LARGEST_PICKLE), 0, pickleReader(new Map(), refuse));
  if (found === undefined) return refuse("data.pkl ends in the middle");
  const locate = async ({ key }: Storage): Promise<ByteRange> => {
    const entry = entries.get(`${folder}data/${key}`);
    return entry === undefined ? refuse(`data/${key} is missing`) : entry.open();
  };
  return { root: found.value, locate };
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;

/**
 * Before PyTorch 1.6, and with `_use_new_zipfile_serialization=False`: five pickles (magic number, version, the machine's
 * facts, the object, the keys of the storages), then of each storage its count of elements (int64) and its bytes.
 */
async function readStream(source: ByteSource, refuse: Refuse): Promise<Contents> {
  const storages = new Map<string, Storage>();
  for (let length = Math.min(source.size, FIRST_READ); ; length = Math.min(source.size, LARGEST_PICKLE, length * 8)) {
    const bytes = await source.read(0, length);
    storages.clear();
    const pickles = readPickles(bytes, pickleReader(storages, refuse), refuse);
    if (pickles === undefined) {
      if (length < Math.min(source.size, LARGEST_PICKLE)) continue;
      return refuse("it ends in the middle of its pickle (truncated?)");
    }
    const places = await findStorages(source, pickles.end, pickles.keys, storages, refuse);
    return { root: pickles.root, locate: async ({ key }) => places.get(key) ?? refuse(`storage ${key} is missing`) };
  }
}

/** Undefined if the bytes end before the pickles do. */
function readPickles(bytes: Uint8Array, reader: PickleReader, refuse: Refuse) {
  let end = 0;
  const next = (): { readonly value: unknown } | undefined => {
    const found = readPickle(bytes, end, reader);
    if (found !== undefined) end = found.end;
    return found;
  };
  const magic = next();
  if (magic === undefined) return undefined;
  if (magic.value !== MAGIC) return refuse("it is a pickle, but not one of torch.save");
  const version = next();
  if (version === undefined) return undefined;
  if (version.value !== VERSION) return refuse(`version ${String(version.value)} of its format is not known`);
  const machine = next();
  if (machine === undefined) return undefined;
  if (!(machine.value instanceof Map) || machine.value.get("little_endian") !== true)
    return refuse("it was written on a machine whose byte order is not little-endian");
  const [root, keys] = [next(), next()];
  return root && keys && { root: root.value, keys: keys.value, end };
}

async function findStorages(
  source: ByteSource,
  start: number,
  keys: unknown,
  storages: ReadonlyMap<string, Storage>,
  refuse: Refuse,
): Promise<Map<string, ByteRange>> {
  const places = new Map<string, ByteRange>();
  let at = start;
  for (const key of Array.isArray(keys) ? keys : refuse("it has no list of storages")) {
    const storage = storages.get(key);
    if (storage === undefined || places.has(key)) return refuse(`storage ${show(key)} is listed twice, or for nothing`);
    if (at + 8 > source.size) return refuse("it ends in front of a storage (truncated?)");
    const bytes = await source.read(at, 8);
    const count = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true));
    const length = byteLength(storage.dtype, [count]);
    if (!(at + 8 + length <= source.size))
      return refuse(`storage ${key} of ${count} elements ends behind the file's ${source.size} bytes (truncated?)`);
    places.set(key, { source, offset: at + 8, length });
    at += 8 + length;
  }
  return places;
}

/** Names of PyTorch's storages, in `torch` or `torch.cuda`. */
const STORAGES: Readonly<Record<string, Dtype>> = {
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  DoubleStorage: "F64",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
  ComplexFloatStorage: "C64",
  UntypedStorage: "U8",
};

/** Types that have no storage of their own. */
const DTYPES: Readonly<Record<string, Dtype>> = {
  uint16: "U16",
  uint32: "U32",
  uint64: "U64",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  float8_e4m3fnuz: "F8_E4M3FNUZ",
  float8_e5m2fnuz: "F8_E5M2FNUZ",
  float8_e8m0fnu: "F8_E8M0",
};

/** Functions whose results often lie beside a state dict: numbers of numpy, paths, sets. They are named and not kept. */
const BESIDE = new Set([
  ...["numpy.dtype", "_codecs.encode", "torch.device", "builtins.set", "__builtin__.set", "builtins.getattr"],
  ...["numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"],
  ...["numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"],
  ...["pathlib", "pathlib._local"].flatMap((module) =>
    ["PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"].map((path) => `${module}.${path}`),
  ),
  ...["datetime.datetime", "datetime.timedelta"],
]);

/** @param storages filled with those of the old format by their keys */
function pickleReader(storages: Map<string, Storage>, refuse: Refuse): PickleReader {
  const tensor = (args: readonly unknown[], dtype?: Dtype): Tensor => {
    const [storage, offset, shape, strides] = args;
    const metadata = args[dtype === undefined ? 6 : 7];
    // "neg" and "conj": the numbers are not the stored ones.
    if (metadata instanceof Map && metadata.size > 0)
      return refuse(
        `a tensor has metadata (${[...metadata.keys()].map(show).join(", ")}) that say it is not as stored; ` +
          "resolve_neg() and resolve_conj() make it plain",
      );
    if (!(storage instanceof Storage) || !isNatural(offset) || !isShape(shape) || !isShape(strides))
      return refuse("a tensor is described by other things than storage, offset, shape and strides");
    // Arrays of the pickle are its own, and it may go on changing them.
    return new Tensor(storage, dtype ?? storage.dtype, offset, [...shape], [...strides]);
  };
  const functions: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
    "torch._utils._rebuild_tensor": tensor,
    "torch._utils._rebuild_tensor_v2": tensor,
    "torch._utils._rebuild_tensor_v3": (args) => tensor(args, dtypeOf(args[6], refuse)),
    "torch._utils._rebuild_parameter": ([data]) => data ?? null,
    "torch._utils._rebuild_parameter_with_state": ([data]) => data ?? null,
    "torch.Size": ([sizes]) => sizes ?? [],
    "collections.OrderedDict": ([pairs]) =>
      pairs === undefined ? new Map() : refuse("an OrderedDict is written as PyTorch did before 0.4"),
    "collections.defaultdict": () => new Map(),
  };
  return {
    refuse,
    call: (name, args) =>
      Object.hasOwn(functions, name) ? functions[name]!(args) : BESIDE.has(name) ? new Opaque(name) : undefined,
    persistent(id) {
      const [kind, type, key, , count, part] = Array.isArray(id) ? id : [];
      const storageName =
        type instanceof Global ? /^torch(?:\.cuda|\.storage)?\.([^.]+)$/.exec(type.name)?.[1] : undefined;
      if (kind !== "storage" || storageName === undefined || typeof key !== "string" || !isNatural(count))
        return refuse(`what it keeps outside of its pickle is no storage: ${show(kind)}, ${show(type)}`);
      const dtype = Object.hasOwn(STORAGES, storageName) ? STORAGES[storageName]! : undefined;
      if (dtype === undefined) return refuse(`${(type as Global).name} is not read`);
      if ((storages.get(key)?.dtype ?? dtype) !== dtype) return refuse(`storage ${key} is said to be of two types`);
      const whole = new Storage(dtype, key, count);
      storages.set(key, whole);
      if (part === undefined || part === null) return whole;
      const [, start, length] = Array.isArray(part) ? part : [];
      if (!isNatural(start) || !isNatural(length) || start + length > count)
        return refuse(`a part of storage ${key} leaves it`);
      return new Storage(dtype, key, length, start);
    },
  };
}

function dtypeOf(value: unknown, refuse: Refuse): Dtype {
  const name = value instanceof Global ? value.name.replace(/^torch\./, "") : "";
  return Object.hasOwn(DTYPES, name) ? DTYPES[name]! : refuse(`a tensor's type is ${show(value)}`);
}

const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** PyTorch itself allows 64 axes. */
const isShape = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= 64 && value.every(isNatural);

/** timm's order (timm/models/_helpers.py, load_state_dict), then what training scripts write. */
const STATE_DICTS = ["state_dict_ema", "model_ema", "state_dict", "model", "model_state", "model_state_dict"];

function findStateDict(root: unknown, refuse: Refuse): { dictionary: Map<unknown, unknown>; note?: string } {
  if (root instanceof Opaque) return refuse(`it holds a whole object (${root.type}) in place of a state dict`);
  if (!(root instanceof Map)) return refuse("it holds no dictionary");
  // Each dictionary is looked through once, however often the root names it.
  const holding = new Set([...new Set(root.values())].filter(holdsTensors));
  const found = new Map(
    [...root].filter((entry): entry is [unknown, Map<unknown, unknown>] =>
      holding.has(entry[1] as Map<unknown, unknown>),
    ),
  );
  const known = STATE_DICTS.find((name) => found.has(name));
  if (known === undefined && holdsTensors(root)) return { dictionary: root };
  const key = known ?? (found.size === 1 ? [...found.keys()][0] : undefined);
  const list = (keys: readonly unknown[]): string =>
    `${keys.slice(0, 8).map(show).join(", ")}${keys.length > 8 ? ", …" : ""}`;
  const dictionary = found.get(key);
  if (dictionary !== undefined) {
    const others = [...root].filter(([other, value]) => other !== key && (found.has(other) || value instanceof Tensor));
    if (others.length === 0) return { dictionary };
    return {
      dictionary,
      note: `${show(key)} is read; it also holds tensors under ${list(others.map(([other]) => other))}, which are not used.`,
    };
  }
  return refuse(
    found.size > 0
      ? `it holds several dictionaries of tensors (${list([...found.keys()])}), and none is called ${STATE_DICTS.join(" or ")}`
      : `it holds no tensors by name, but ${list([...root.keys()]) || "nothing"}`,
  );
}

const holdsTensors = (value: unknown): value is Map<unknown, unknown> =>
  value instanceof Map && [...value].some(([key, item]) => typeof key === "string" && item instanceof Tensor);

/** Numbers and texts beside the tensors are left out; an object that might have been one is not. */
function tensorsOf(dictionary: Map<unknown, unknown>, refuse: Refuse): [string, Tensor][] {
  return [...dictionary].flatMap(([name, value]): [string, Tensor][] => {
    if (value instanceof Opaque || value instanceof Global)
      return refuse(`${show(name)} in its state dict is no tensor, but ${show(value)}`);
    if (!(value instanceof Tensor)) return [];
    return typeof name === "string" ? [[name, value]] : refuse(`a tensor is named by ${show(name)}, which is no text`);
  });
}

/** Of torch.compile and DataParallel, in either order. @see timm/models/_helpers.py, clean_state_dict */
const WRAPPERS = ["_orig_mod.", "module.", "_orig_mod."];

const unwrapped = (tensors: [string, Tensor][]): [string, Tensor][] =>
  WRAPPERS.reduce(
    (inside, wrapper) =>
      inside.every(([name]) => name.startsWith(wrapper))
        ? inside.map(([name, tensor]) => [name.slice(wrapper.length), tensor])
        : inside,
    tensors,
  );

async function toEntry(
  name: string,
  { storage, dtype, offset, shape, strides }: Tensor,
  locate: Contents["locate"],
  file: ByteSource,
  refuse: Refuse,
): Promise<TensorEntry> {
  const tensor = `tensor ${show(name)}`;
  const length = byteLength(dtype, shape);
  if (Number.isNaN(length) || strides.length !== shape.length)
    return refuse(`${tensor} has an impossible shape: ${dtype} [${shape}] with strides [${strides}]`);
  const place = await locate(storage);
  const stored = byteLength(storage.dtype, [storage.start + storage.count]);
  if (!(stored <= place.length))
    return refuse(`${tensor} lies in a storage of ${stored} bytes, of which the file has ${place.length} (truncated?)`);

  const width = byteLength(dtype, [1]);
  const begin = byteLength(storage.dtype, [storage.start]) + offset * width;
  // One element further than the last one that any index reaches.
  const reach = length === 0 ? 0 : 1 + shape.reduce((sum, axis, i) => sum + (axis - 1) * strides[i]!, 0);
  if (!(begin + reach * width <= stored))
    return refuse(`${tensor} [${shape}] with offset ${offset} and strides [${strides}] leaves its storage`);
  const { source } = place;
  const at = place.offset + begin;
  if (length === 0 || isRowMajor(shape, strides)) return { name, dtype, shape, source, offset: at, length };
  if (length > stored) return refuse(`${tensor} repeats elements: [${shape}] with strides [${strides}]`);
  return madeEntry({ name, dtype, shape }, file.name, async () =>
    gather(await source.read(at, reach * width), dtype, shape, strides),
  );
}

/** A value of the file, made safe to print. */
function show(value: unknown): string {
  if (value instanceof Global) return value.name.slice(0, 80);
  if (value instanceof Opaque) return value.type.slice(0, 80);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  const text = typeof value === "bigint" ? `${value}` : (JSON.stringify(value) ?? "nothing");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
