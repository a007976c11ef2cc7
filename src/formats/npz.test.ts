import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { openFile } from "./file.node.js";
import { readNpz } from "./npz.js";
import { readBytes, readFloat32 } from "./safetensors.js";
import { memorySource } from "./source.js";
import { withoutChecksums } from "./zip.fixtures.js";

// Written by numpy, whose local headers are zip64: scripts/fixtures/weight-files.py.
const fixtures = "test/fixtures/weight-files/";
const open = async (file: string) => readNpz(await openFile(fixtures + file, file));
const bytes = (file: string): Uint8Array => new Uint8Array(readFileSync(fixtures + file));
const counting = (length: number): number[] => Array.from({ length }, (_, i) => i);

test("every type and order of numpy.savez", async () => {
  const found = await open("arrays.npz");
  const described = [...found.values()].map(({ name, dtype, shape }) => [name, dtype, shape]);
  expect(described).toEqual([
    ["c_order", "F32", [4, 6]],
    ["fortran", "F32", [4, 6]],
    ["cube", "F32", [2, 3, 4]],
    ["half", "F16", [3]],
    ["double", "F64", [3]],
    ["int64", "I64", [3]],
    ["uint8", "U8", [3]],
    ["scalar", "F32", []],
    ["bfloat16", "BF16", [2]],
    ["a/b", "F32", [0, 2]],
  ]);
  const values = async (name: string) => [...(await readFloat32(found.get(name)!))];
  expect(await values("c_order")).toEqual(counting(24));
  expect(await values("fortran")).toEqual(counting(24));
  expect(await values("cube")).toEqual(counting(24));
  for (const name of ["half", "double"]) expect(await values(name)).toEqual([0, 1, 2]);
  expect(await values("scalar")).toEqual([2.5]);
  expect(await values("bfloat16")).toEqual([1.5, -2]);
  expect(await readBytes(found.get("int64")!)).toHaveLength(24);
  // Those in C order stay in the file.
  const moved = [...found.values()].filter(({ source }) => source.path === undefined).map(({ name }) => name);
  expect(moved).toEqual(["fortran", "cube"]);
});

test("a compressed archive is inflated", async () => {
  const found = await open("compressed.npz");
  expect([...(await readFloat32(found.get("c_order")!))]).toEqual(counting(24));
  expect(await readFloat32(found.get("zeros")!)).toEqual(new Float32Array(1000));
});

/** The fixture with a text of its first header in place of another as long. */
function changed(from: string, to: string, file = "arrays.npz"): Uint8Array {
  const text = String.fromCharCode(...bytes(file));
  const padded = to.padEnd(from.length);
  expect([text.includes(from), padded.length]).toEqual([true, from.length]);
  return Uint8Array.from(text.replace(from, padded), (c) => c.charCodeAt(0));
}

test.each<[string, Uint8Array, string]>([
  [
    "Python objects",
    bytes("objects.npz"),
    'x.npz: array "x" cannot be read: it is of Python objects, which are not run here.',
  ],
  ["big-endian numbers", bytes("big-endian.npz"), `array "x" cannot be read: its type is '>f4'; one of <f2, <f4, `],
  ["another shape", changed("(4, 6), }", "(4, 7), }"), "F32 [4,7] takes 112 bytes, and 96 follow its header"],
  [
    "a huge shape",
    changed("'shape': (4, 6), }               ", "'shape': (999999999, 999999999)}"),
    "its shape [999999999,999999999] is impossible",
  ],
  ["another header", changed("'shape': (4, 6)", "'shape': f(4,6)"), "its header is not one that numpy writes"],
  [
    "a record",
    changed("'descr': '<f4', 'fortran_order': False", "'descr': [('a','f')], 'fortran_order': False".slice(0, 38)),
    "its header is not one",
  ],
  ["another beginning", changed("\x93NUMPY", "\x93NUMPX"), "it does not begin as an .npy file"],
  ["a new version", changed("\x93NUMPY\x01", "\x93NUMPY\x09"), "version 9 of its format is not known"],
  ["a long header", changed("\x93NUMPY\x01\x00\x76\x00", "\x93NUMPY\x01\x00\x76\xff"), "its header claims 65398 bytes"],
  ["no arrays", Uint8Array.of(0x50, 0x4b, 5, 6, ...new Array(18).fill(0)), "x.npz: holds no arrays (.npy)."],
])("refused: %s", async (_what, content, text) => {
  await expect(readNpz(memorySource("x.npz", content))).rejects.toMatchObject({
    code: "FILE",
    message: expect.stringContaining(text),
  });
});

test.each(["arrays.npz", "compressed.npz"])(
  "%s cut off, or with random bytes changed: read or refused, never anything else",
  async (name) => {
    const rng = rngStream(1, name);
    const whole = withoutChecksums(bytes(name));
    let refused = 0;
    const read = async (content: Uint8Array): Promise<void> => {
      try {
        for (const entry of (await readNpz(memorySource("x", content))).values()) await readBytes(entry);
      } catch (thrown) {
        refused++;
        expect(thrown).toMatchObject({ name: "GloraError", code: "FILE" });
      }
    };
    for (let length = 0; length < whole.length; length += 5) await read(whole.subarray(0, length));
    expect(refused).toBe(Math.ceil(whole.length / 5));
    for (let round = 0; round < 400; round++) {
      const spoilt = whole.slice();
      for (let i = rng.int(4); i >= 0; i--) spoilt[rng.int(whole.length)] = rng.int(256);
      await read(spoilt);
    }
  },
);
