import { GloraError } from "../base/errors.js";
import { toFloat32 } from "../base/float.js";
import { byteLength, type Dtype, isDtype } from "./dtype.js";
import { parseJson } from "./folder.js";
import { refusePlaceholder } from "./placeholder.js";
import type { ByteSource } from "./source.js";
import { duplicateKey } from "./unique-json.js";

/** A tensor in a file: where it lies, not its values. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly source: ByteSource;
  /** Of the first byte, from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** The reference's own limit. */
const LARGEST_HEADER = 100_000_000;

/**
 * Reads the header of a .safetensors file: 8 bytes of little-endian length, then JSON, then the tensors' bytes without
 * holes. No tensor is read. Nothing in the file is believed before it is checked.
 *
 * @throws {GloraError} "FILE" that says what is wrong and where
 * @see https://github.com/huggingface/safetensors, "Format". Stricter than the reference in one point: a name that occurs
 *   twice is refused.
 */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const { name: file, size } = source;
  const refuse = (what: string): never => {
    throw new GloraError("FILE", `${file}: not a valid safetensors file: ${what}. Fetch or export it again.`, { file });
  };

  if (size < 8) refuse(`it has ${size} bytes, and the length of the header alone takes 8`);
  const prefix = await source.read(0, 8);
  const headerLength = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (headerLength > LARGEST_HEADER) {
    await refusePlaceholder(source); // any text as a number of 8 bytes
    refuse(`its header claims ${headerLength} bytes; the limit is ${LARGEST_HEADER}`);
  }
  const dataStart = 8 + Number(headerLength);
  if (dataStart > size) refuse(`its header claims ${headerLength} bytes, but the file has only ${size} (truncated?)`);

  const { __metadata__, ...described } = parseHeader(await source.read(8, dataStart - 8), refuse);
  const metadata = checkMetadata(__metadata__, refuse);
  const entries = Object.entries(described)
    .map(([name, info]) => checkTensor(name, info, source, dataStart, refuse))
    .sort((a, b) => a.offset - b.offset || a.length - b.length);

  let end = dataStart;
  for (const entry of entries) {
    if (entry.offset !== end) {
      const gap = entry.offset - end;
      refuse(
        `tensor ${quote(entry.name)} ${gap > 0 ? `leaves a hole of ${gap}` : `overlaps another by ${-gap}`} bytes`,
      );
    }
    end += entry.length;
  }
  if (end > size) refuse(`its tensors end at byte ${end}, but the file has only ${size} (truncated?)`);
  if (end < size) refuse(`${size - end} byte${size - end === 1 ? " follows" : "s follow"} the last tensor`);
  return { metadata, tensors: new Map(entries.map((entry) => [entry.name, entry])) };
}

type Refuse = (what: string) => never;

function parseHeader(bytes: Uint8Array, refuse: Refuse): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = parseJson(text, "header");
  } catch {
    return refuse("its header is not UTF-8 JSON");
  }
  if (!isObject(header)) return refuse("its header is not a JSON object");
  const twice = duplicateKey(text);
  return twice === undefined ? header : refuse(`${quote(twice)} occurs twice in its header`);
}

function checkMetadata(metadata: unknown, refuse: Refuse): Record<string, string> {
  if (metadata === undefined || metadata === null) return {};
  if (!isObject(metadata)) return refuse("__metadata__ is not an object");
  const wrong = Object.keys(metadata).find((key) => typeof metadata[key] !== "string");
  if (wrong !== undefined) return refuse(`__metadata__ ${quote(wrong)} is not a string`);
  return metadata as Record<string, string>;
}

function checkTensor(name: string, info: unknown, source: ByteSource, dataStart: number, refuse: Refuse): TensorEntry {
  const tensor = `tensor ${quote(name)}`;
  if (!isObject(info)) return refuse(`${tensor} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = info;
  if (!isDtype(dtype)) return refuse(`${tensor} has the unknown dtype ${quote(dtype)}`);
  if (!Array.isArray(shape)) return refuse(`${tensor} has no shape`);
  const bytes = byteLength(dtype, shape);
  if (Number.isNaN(bytes)) return refuse(`${tensor} has an impossible shape: ${dtype} ${quote(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isNatural)) {
    return refuse(`${tensor} has no valid data_offsets: ${quote(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== bytes) {
    return refuse(`${tensor} of ${dtype} ${quote(shape)} takes ${bytes} bytes, but its data_offsets are [${offsets}]`);
  }
  return { name, dtype, shape, source, offset: dataStart + begin, length: bytes };
}

const isNatural = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What a file says, made safe to print. */
const quote = (value: unknown): string => {
  const nested = typeof value === "object" && value !== null && Object.values(value).some((v) => typeof v === "object");
  if (nested) return "a nested value"; // perhaps too deep for JSON.stringify
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
};

/** The stored bytes of a tensor. */
export const readBytes = (entry: TensorEntry): Promise<Uint8Array> => entry.source.read(entry.offset, entry.length);

/**
 * A floating-point tensor as float32 (F64 is rounded to nearest; F16 and BF16 are exact).
 * @throws {GloraError} "FILE" if its dtype is not F32, F16, BF16 or F64
 */
export async function readFloat32(entry: TensorEntry): Promise<Float32Array<ArrayBuffer>> {
  const { name, dtype, source } = entry;
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16" && dtype !== "F64") {
    throw new GloraError(
      "FILE",
      `${source.name}: tensor ${quote(name)} has dtype ${dtype}; F32, F16, BF16 or F64 is expected.`,
      { file: source.name, tensor: name, expected: ["F32", "F16", "BF16", "F64"], actual: dtype },
    );
  }
  return toFloat32(await readBytes(entry), dtype);
}
