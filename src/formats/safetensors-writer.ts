import { GloraError } from "../base/errors.js";
import { byteLength, type Dtype, dtypeRank } from "./dtype.js";
import type { TensorEntry } from "./safetensors.js";

/** Name, type and shape of a tensor to be written. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface SafetensorsLayout<T extends TensorSpec> {
  /** Length and JSON, padded with spaces to a multiple of 8 bytes. */
  readonly header: Uint8Array;
  /** The tensors in the order of their bytes, with their lengths: they follow the header without gaps. */
  readonly tensors: readonly { readonly tensor: T; readonly length: number }[];
}

/**
 * Header and order of a .safetensors file, as the reference writes them: the widest dtype first, equals by name, so that
 * every tensor is aligned.
 * @throws {GloraError} "FILE" for a name that occurs twice or is reserved, or an impossible shape
 */
export function layoutSafetensors<T extends TensorSpec>(
  tensors: readonly T[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsLayout<T> {
  const sorted = [...tensors].sort((a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || (a.name < b.name ? -1 : 1));
  const fields: string[] = [];
  const field = (key: string, value: unknown): void => {
    fields.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
  };
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) field("__metadata__", Object.fromEntries(keys.map((key) => [key, metadata[key]])));
  const names = new Set(["__metadata__"]);
  let end = 0;
  const placed = sorted.map((tensor) => {
    const { name, dtype, shape } = tensor;
    const length = byteLength(dtype, shape);
    if (names.has(name)) throw new GloraError("FILE", `Two tensors cannot be named ${JSON.stringify(name)}.`, { name });
    if (Number.isNaN(length)) {
      throw new GloraError("FILE", `Tensor ${JSON.stringify(name)}: ${dtype} [${shape}] cannot be stored.`, { name });
    }
    names.add(name);
    field(name, { dtype, shape, data_offsets: [end, end + length] });
    end += length;
    return { tensor, length };
  });
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return { header, tensors: placed };
}

/** A whole .safetensors file in memory; `data` holds the stored, little-endian bytes. */
export function encodeSafetensors(
  tensors: readonly (TensorSpec & { readonly data: Uint8Array })[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const layout = layoutSafetensors(tensors, metadata);
  const size = layout.tensors.reduce((sum, { length }) => sum + length, layout.header.length);
  const file = new Uint8Array(size);
  file.set(layout.header);
  let end = layout.header.length;
  for (const { tensor, length } of layout.tensors) {
    checkLength(tensor, tensor.data.length, length);
    file.set(tensor.data, end);
    end += length;
  }
  return file;
}

/** A tensor to be written: its bytes, a function that makes them when their turn comes, or a tensor to copy from a file. */
export interface TensorToWrite extends TensorSpec {
  readonly data: Uint8Array | TensorEntry | (() => Promise<Uint8Array>);
}

/** Bytes copied at a time. */
const CHUNK = 2 ** 24;

/**
 * What {@link encodeSafetensors} returns, in pieces that are made when they are asked for: a file far larger than the
 * memory can be written.
 */
export async function* safetensorsChunks({
  header,
  tensors,
}: SafetensorsLayout<TensorToWrite>): AsyncGenerator<Uint8Array> {
  yield header;
  for (const { tensor, length } of tensors) {
    const { data } = tensor;
    if (data instanceof Uint8Array || typeof data === "function") {
      const bytes = typeof data === "function" ? await data() : data;
      checkLength(tensor, bytes.length, length);
      yield bytes;
    } else {
      checkLength(tensor, data.length, length);
      for (let done = 0; done < length; done += CHUNK)
        yield await data.source.read(data.offset + done, Math.min(CHUNK, length - done));
    }
  }
}

/** Refuses data that is not as long as its dtype and shape say. */
function checkLength({ name, dtype, shape }: TensorSpec, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new GloraError("FILE", `Tensor "${name}" of ${dtype} [${shape}] takes ${expected} bytes, but got ${actual}.`, {
    tensor: name,
    expected,
    actual,
  });
}
