import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import widened from "../../test/fixtures/weights/widened.fixtures.json" with { type: "json" };
import { openFile } from "../formats/file.node.js";
import { readBytes, readFloat32, readSafetensors } from "../formats/safetensors.js";
import { fromFloat32, toFloat32 } from "./float.js";

// Written by PyTorch: scripts/fixtures/weights.py.
const { tensors } = await readSafetensors(await openFile("test/fixtures/weights/floats.safetensors"));
const stored = (name: string) => readBytes(tensors.get(name)!);
const shorts = (bytes: Uint8Array): Uint16Array => new Uint16Array(new Uint8Array(bytes).buffer);

test.each(["F16", "BF16"] as const)("all 65,536 numbers of %s widen exactly", (dtype) => {
  const everything = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
  const wide = toFloat32(new Uint8Array(everything.buffer), dtype);
  const bits = new Uint32Array(wide.buffer);
  for (let i = 0; i < bits.length; i++) if (Number.isNaN(wide[i])) bits[i] = 0x7fc00000;
  expect(createHash("sha256").update(bits).digest("hex")).toBe(widened[dtype]);
});

test.each(["F16", "BF16"] as const)("float32 is rounded to %s as PyTorch does, to the bit", async (dtype) => {
  const values = await readFloat32(tensors.get("f32")!);
  const ours = shorts(fromFloat32(values, dtype));
  const theirs = shorts(await stored(dtype.toLowerCase()));
  const [infinity, magnitude] = dtype === "F16" ? [0x7c00, 0x7fff] : [0x7f80, 0x7fff];
  const wrong = values.findIndex((value, i) =>
    Number.isNaN(value) ? (ours[i]! & magnitude) <= infinity : ours[i] !== theirs[i],
  );
  expect(wrong).toBe(-1);
});

test.each(["F16", "BF16", "F32", "F64"] as const)("%s survives a round trip, from any address", (dtype) => {
  const values = Float32Array.of(0, -0, 1, -1.5, 65504, 2 ** -14, Infinity, -Infinity, NaN);
  if (dtype === "BF16") values[4] = 2 ** 100;
  const bytes = fromFloat32(values, dtype);
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  expect(toFloat32(shifted.subarray(1), dtype)).toEqual(values);
});

test("float64 is rounded to float32 as PyTorch does", async () => {
  expect(await readFloat32(tensors.get("f64")!)).toEqual(await readFloat32(tensors.get("f64.as.f32")!));
});

test("the result shares no memory with the bytes", () => {
  const bytes = new Uint8Array(Float32Array.of(1).buffer);
  const values = toFloat32(bytes, "F32");
  bytes.fill(0);
  expect(values[0]).toBe(1);
});
