/** numpy's archives of arrays. */
import { GloraError } from "../base/errors.js";
import { byteLength, type Dtype } from "./dtype.js";
import { refusePlaceholder } from "./placeholder.js";
import type { TensorEntry } from "./safetensors.js";
import type { ByteSource } from "./source.js";
import { gather, isRowMajor, madeEntry, rowMajor } from "./view.js";
import { readZip, type ZipRange } from "./zip.js";

/** Little-endian and one-byte types. numpy has no name for bfloat16: JAX's arrays of it are stored as 2 bytes of anything. */
const DTYPES: Readonly<Record<string, Dtype>> = {
  "<f2": "F16",
  "<f4": "F32",
  "<f8": "F64",
  "|V2": "BF16",
  "<V2": "BF16",
  "|b1": "BOOL",
  "|i1": "I8",
  "|u1": "U8",
  "<i2": "I16",
  "<u2": "U16",
  "<i4": "I32",
  "<u4": "U32",
  "<i8": "I64",
  "<u8": "U64",
};

/** Bytes; numpy's own headers have 118. */
const LARGEST_HEADER = 2 ** 16;

/**
 * The arrays of an .npz archive under their names without ".npy". Only headers are read, unless the archive is compressed.
 * An array in Fortran order is rearranged in memory when it is asked for.
 *
 * @throws {GloraError} "FILE" that says what is wrong, and in which array; one of Python objects is refused, because
 *   they could only be had by running what the file says
 * @see numpy/lib/_format_impl.py, "Format Specifications"
 */
export async function readNpz(source: ByteSource): Promise<ReadonlyMap<string, TensorEntry>> {
  await refusePlaceholder(source);
  const tensors = new Map<string, TensorEntry>();
  for (const [file, entry] of await readZip(source)) {
    if (!file.endsWith(".npy")) continue;
    const name = file.slice(0, -".npy".length);
    tensors.set(name, await readNpy(name, await entry.open()));
  }
  if (tensors.size > 0) return tensors;
  throw new GloraError("FILE", `${source.name}: holds no arrays (.npy). Is it an archive of numpy.savez?`, {
    file: source.name,
  });
}

async function readNpy(name: string, { source, unchecked, offset, length }: ZipRange): Promise<TensorEntry> {
  const refuse = (what: string): never => {
    throw new GloraError("FILE", `${source.name}: array ${JSON.stringify(name)} cannot be read: ${what}.`, {
      file: source.name,
      tensor: name,
    });
  };
  const prefix = await unchecked.read(offset, Math.min(length, 12));
  if (prefix.length < 12 || String.fromCharCode(...prefix.subarray(0, 6)) !== "\x93NUMPY")
    return refuse("it does not begin as an .npy file");
  const major = prefix[6]!;
  if (major < 1 || major > 3) return refuse(`version ${major} of its format is not known`);
  const numbers = new DataView(prefix.buffer, prefix.byteOffset);
  const headerStart = major === 1 ? 10 : 12;
  const headerLength = major === 1 ? numbers.getUint16(8, true) : numbers.getUint32(8, true);
  const start = headerStart + headerLength;
  if (headerLength > LARGEST_HEADER || start > length) return refuse(`its header claims ${headerLength} bytes`);
  const header = new TextDecoder().decode(await unchecked.read(offset + headerStart, headerLength));

  const { dtype, shape, fortran } = parseHeader(header, refuse);
  const bytes = byteLength(dtype, shape);
  if (Number.isNaN(bytes)) return refuse(`its shape [${shape}] is impossible`);
  if (bytes !== length - start)
    return refuse(`${dtype} [${shape}] takes ${bytes} bytes, and ${length - start} follow its header`);
  const entry = { name, dtype, shape, source, offset: offset + start, length: bytes };
  const strides = fortran ? rowMajor([...shape].reverse()).reverse() : rowMajor(shape);
  if (isRowMajor(shape, strides)) return entry;
  return madeEntry(entry, source.name, async () =>
    gather(await source.read(entry.offset, bytes), dtype, shape, strides),
  );
}

/** The header is a Python dictionary of three constants. */
function parseHeader(header: string, refuse: (what: string) => never) {
  const found =
    /^\{'descr': (.+), 'fortran_order': (True|False), 'shape': \(((?:\d+L?, ?)*(?:\d+L?)?)\),? *\}\s*$/.exec(header);
  if (found === null) return refuse("its header is not one that numpy writes");
  const [, descr, fortran, axes] = found;
  const type = descr!.slice(1, -1);
  if (type.endsWith("O")) return refuse("it is of Python objects, which are not run here");
  const dtype = Object.hasOwn(DTYPES, type) ? DTYPES[type]! : undefined;
  if (dtype === undefined)
    return refuse(`its type is ${descr!.slice(0, 60)}; one of ${Object.keys(DTYPES).join(", ")} is expected`);
  const shape = (axes!.match(/\d+/g) ?? []).map(Number);
  return { dtype, shape, fortran: fortran === "True" };
}
