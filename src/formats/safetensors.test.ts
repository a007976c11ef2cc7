import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Dtype } from "./dtype.js";
import { openFile } from "./file.node.js";
import { readBytes, readFloat32, readSafetensors } from "./safetensors.js";
import { writeSafetensors } from "./safetensors-file.node.js";
import { encodeSafetensors } from "./safetensors-writer.js";
import { type ByteSource, memorySource } from "./source.js";

// Written by the reference implementation: scripts/fixtures/weights.py.
const MIXED = "test/fixtures/weights/mixed.safetensors";

/** A file with this header (text, or an object as JSON) and data. */
function file(header: unknown, data: number | Uint8Array = 0, claimed?: bigint): ByteSource {
  const json =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const body = typeof data === "number" ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + json.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(body, 8 + json.length);
  return memorySource("m.safetensors", bytes);
}

const u8 = (begin: number, end: number) => ({ dtype: "U8", shape: [end - begin], data_offsets: [begin, end] });

test("a file of the reference writer is read, and written again byte for byte", async () => {
  const { metadata, tensors } = await readSafetensors(await openFile(MIXED));
  expect(metadata).toEqual({ format: "ü" });
  expect(tensors.size).toBe(21);
  const half = tensors.get("float16")!;
  expect(half).toMatchObject({ dtype: "F16", shape: [2, 3], length: 12 });
  expect([...(await readFloat32(half))]).toEqual([0, 1, 2, 3, 4, 5]);
  expect([...(await readFloat32(tensors.get("scalar")!))]).toEqual([2.5]);
  expect(await readFloat32(tensors.get("empty")!)).toHaveLength(0);
  expect(tensors.get('é\u0001"\n/\u2028\x7f')).toBeDefined();

  const copies = await Promise.all(
    [...tensors.values()].reverse().map(async (t) => ({ ...t, data: await readBytes(t) })),
  );
  const reference = await readFile(MIXED);
  expect(Buffer.compare(encodeSafetensors(copies, metadata), reference)).toBe(0);

  const folder = await mkdtemp(join(tmpdir(), "glora-"));
  const path = join(folder, "copy.safetensors");
  // A third of the tensors copied from the file, a third given, a third made when their turn comes.
  const kinds = [...tensors.values()].map((entry, i) => {
    const data = copies.find(({ name }) => name === entry.name)!.data;
    return { ...entry, data: [entry, data, async () => data][i % 3]! };
  });
  await writeSafetensors(path, kinds, metadata);
  expect(Buffer.compare(await readFile(path), reference)).toBe(0);

  const short = [{ name: "a", dtype: "F32" as const, shape: [2], data: async () => new Uint8Array(4) }];
  await expect(writeSafetensors(join(folder, "x"), short)).rejects.toThrow(
    'Tensor "a" of F32 [2] takes 8 bytes, but got 4.',
  );
  expect(await readdir(folder)).toEqual(["copy.safetensors"]);
  await rm(folder, { recursive: true });
});

test("random files survive a round trip", async () => {
  const rng = rngStream(5, "safetensors");
  for (let round = 0; round < 50; round++) {
    const tensors = Array.from({ length: rng.int(6) }, (_, i) => {
      const dtype = rng.pick<Dtype>(["F32", "F16", "BF16", "I64", "U8", "BOOL", "F4"]);
      const shape = [...Array.from({ length: rng.int(3) }, () => rng.int(4)), 2];
      const bits = { F32: 32, F16: 16, BF16: 16, I64: 64, U8: 8, BOOL: 8, F4: 4 }[dtype as "F32"];
      const data = new Uint8Array((shape.reduce((a, b) => a * b) * bits) / 8).map(() => rng.int(256));
      return { name: `t${i}`, dtype, shape, data };
    });
    const read = await readSafetensors(memorySource("x", encodeSafetensors(tensors)));
    expect(read.tensors.size).toBe(tensors.length);
    for (const { name, dtype, shape, data } of tensors) {
      const entry = read.tensors.get(name)!;
      expect(entry).toMatchObject({ dtype, shape });
      expect(await readBytes(entry)).toEqual(data);
      expect(entry.offset % 8 === 0 || entry.dtype !== "I64").toBe(true);
    }
  }
});

test("only the header is read before a tensor is asked for", async () => {
  const source = file({ a: u8(0, 1000) }, 1000);
  let bytes = 0;
  const counted: ByteSource = {
    ...source,
    read: (offset, length) => {
      bytes += length;
      return source.read(offset, length);
    },
  };
  await readSafetensors(counted);
  expect(bytes).toBe(source.size - 1000);
});

const long = "x".repeat(200);

test.each<[string, ByteSource, string]>([
  [
    "an empty file",
    memorySource("m.safetensors", new Uint8Array()),
    "it has 0 bytes, and the length of the header alone takes 8",
  ],
  ["a huge header", file("{}", 0, 2n ** 63n), "its header claims 9223372036854775808 bytes; the limit is 100000000"],
  ["a header beyond the end", file("{}", 0, 3n), "its header claims 3 bytes, but the file has only 10 (truncated?)"],
  ["no header", file("", 0), "its header is not UTF-8 JSON"],
  ["no UTF-8", file(Uint8Array.of(0x7b, 0xff, 0x7d)), "its header is not UTF-8 JSON"],
  ["a byte order mark", file("\ufeff{}"), "its header is not UTF-8 JSON"],
  ["no JSON", file("{a}"), "its header is not UTF-8 JSON"],
  ["no object", file("[]"), "its header is not a JSON object"],
  ["null", file("null"), "its header is not a JSON object"],
  [
    "a name twice",
    file(`{"a":${JSON.stringify(u8(0, 1))},"a":${JSON.stringify(u8(0, 1))}}`, 1),
    '"a" occurs twice in its header',
  ],
  [
    "a name twice, once escaped",
    file(`{"a":${JSON.stringify(u8(0, 1))},"\\u0061":${JSON.stringify(u8(0, 1))}}`, 1),
    '"a" occurs twice in its header',
  ],
  ["metadata that is no object", file({ __metadata__: [] }), "__metadata__ is not an object"],
  ["metadata that is no text", file({ __metadata__: { a: 1 } }), '__metadata__ "a" is not a string'],
  ["a tensor that is no object", file({ a: 1 }), 'tensor "a" is not described by an object'],
  ["an unknown dtype", file({ a: { ...u8(0, 1), dtype: "F128" } }, 1), 'tensor "a" has the unknown dtype "F128"'],
  [
    "a dtype from the prototype",
    file({ a: { ...u8(0, 1), dtype: "toString" } }, 1),
    'tensor "a" has the unknown dtype "toString"',
  ],
  ["no dtype", file({ a: { shape: [1], data_offsets: [0, 1] } }, 1), 'tensor "a" has the unknown dtype nothing'],
  ["no shape", file({ a: { dtype: "U8", data_offsets: [0, 1] } }, 1), 'tensor "a" has no shape'],
  [
    "a negative axis",
    file({ a: { ...u8(0, 1), shape: [-1, -1] } }, 1),
    'tensor "a" has an impossible shape: U8 [-1,-1]',
  ],
  ["half an axis", file({ a: { ...u8(0, 1), shape: [0.5, 2] } }, 1), 'tensor "a" has an impossible shape: U8 [0.5,2]'],
  [
    "an axis that is text",
    file({ a: { ...u8(0, 1), shape: ["1"] } }, 1),
    'tensor "a" has an impossible shape: U8 ["1"]',
  ],
  [
    "too many elements",
    file({ a: { ...u8(0, 0), shape: [2 ** 31, 2 ** 31, 4] } }),
    'tensor "a" has an impossible shape: U8 [2147483648,2147483648,4]',
  ],
  [
    "half a byte",
    file({ a: { dtype: "F4", shape: [3], data_offsets: [0, 2] } }, 2),
    'tensor "a" has an impossible shape: F4 [3]',
  ],
  [
    "a bottomless shape",
    file(`{"a":{"dtype":"U8","shape":${"[".repeat(1e6)}${"]".repeat(1e6)},"data_offsets":[0,0]}}`),
    'tensor "a" has an impossible shape: U8 a nested value',
  ],
  ["no offsets", file({ a: { dtype: "U8", shape: [1] } }, 1), 'tensor "a" has no valid data_offsets: nothing'],
  [
    "negative offsets",
    file({ a: { ...u8(0, 1), data_offsets: [-1, 0] } }, 1),
    'tensor "a" has no valid data_offsets: [-1,0]',
  ],
  [
    "three offsets",
    file({ a: { ...u8(0, 1), data_offsets: [0, 1, 1] } }, 1),
    'tensor "a" has no valid data_offsets: [0,1,1]',
  ],
  [
    "offsets backwards",
    file({ a: { ...u8(0, 1), data_offsets: [1, 0] } }, 1),
    'tensor "a" of U8 [1] takes 1 bytes, but its data_offsets are [1,0]',
  ],
  [
    "offsets against the shape",
    file({ a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 8] } }, 8),
    'tensor "a" of F32 [2,2] takes 16 bytes, but its data_offsets are [0,8]',
  ],
  ["an overlap", file({ a: u8(0, 4), b: u8(3, 5) }, 5), 'tensor "b" overlaps another by 1 bytes'],
  ["the same bytes twice", file({ a: u8(0, 4), b: u8(0, 4) }, 4), 'tensor "b" overlaps another by 4 bytes'],
  ["a hole", file({ a: u8(0, 4), b: u8(6, 8) }, 8), 'tensor "b" leaves a hole of 2 bytes'],
  ["a hole in front", file({ a: u8(1, 4) }, 4), 'tensor "a" leaves a hole of 1 bytes'],
  [
    "a truncated file",
    file({ a: u8(0, 100) }, 60),
    "its tensors end at byte 165, but the file has only 125 (truncated?)",
  ],
  ["a trailing byte", file({ a: u8(0, 4) }, 5), "1 byte follows the last tensor"],
  ["trailing bytes", file({ a: u8(0, 4) }, 7), "3 bytes follow the last tensor"],
  ["a long name", file({ [long]: 1 }), `tensor "${long.slice(0, 76)}... is not described by an object`],
])("refused: %s", async (_what, source, text) => {
  await expect(readSafetensors(source)).rejects.toMatchObject({
    code: "FILE",
    message: `m.safetensors: not a valid safetensors file: ${text}. Fetch or export it again.`,
  });
});

test("names from the prototype are ordinary names", async () => {
  const { tensors } = await readSafetensors(
    file(`{"__proto__":${JSON.stringify(u8(0, 1))},"constructor":${JSON.stringify(u8(1, 2))}}`, 2),
  );
  expect([...tensors.keys()]).toEqual(["__proto__", "constructor"]);
});

test("mutated files are read or refused, never anything else", async () => {
  const rng = rngStream(11, "fuzz");
  const original = new Uint8Array(await readFile(MIXED));
  let refused = 0;
  for (let round = 0; round < 3000; round++) {
    const bytes = original.slice(0, rng.int(4) === 0 ? rng.int(original.length) : original.length);
    for (let n = 1 + rng.int(3); n > 0; n--)
      bytes[rng.int(Math.min(bytes.length, 1500))] = rng.pick([rng.int(256), 0x30 + rng.int(10), 0x22, 0x2c, 0x5d]);
    try {
      const { tensors } = await readSafetensors(memorySource("x", bytes));
      for (const entry of tensors.values()) await readBytes(entry);
    } catch (thrown) {
      if (!(thrown instanceof GloraError)) throw thrown;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(1500);
});

test("a tensor that is not floating point is not read as one", async () => {
  const { tensors } = await readSafetensors(file({ a: u8(0, 1) }, 1));
  await expect(readFloat32(tensors.get("a")!)).rejects.toThrow(
    'm.safetensors: tensor "a" has dtype U8; F32, F16, BF16 or F64 is expected.',
  );
});

test("the writer refuses what could not be read again", () => {
  const one = { dtype: "U8", shape: [1], data: new Uint8Array(1) } as const;
  expect(() =>
    encodeSafetensors([
      { ...one, name: "a" },
      { ...one, name: "a" },
    ]),
  ).toThrow('Two tensors cannot be named "a".');
  expect(() => encodeSafetensors([{ ...one, name: "__metadata__" }])).toThrow('cannot be named "__metadata__".');
  expect(() => encodeSafetensors([{ ...one, name: "a", shape: [-1] }])).toThrow(
    'Tensor "a": U8 [-1] cannot be stored.',
  );
  expect(() => encodeSafetensors([{ ...one, name: "a", shape: [2] }])).toThrow(
    'Tensor "a" of U8 [2] takes 2 bytes, but got 1.',
  );
});
