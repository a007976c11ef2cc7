import { expect, test } from "vitest";
import { openFile } from "../../formats/file.node.js";
import { readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { resampleTimm, resampleTransformers } from "./position-embedding.js";

// Tables resampled by the libraries: scripts/fixtures/position-embedding.py.
const { tensors } = await readSafetensors(await openFile("test/fixtures/position-embedding/tables.safetensors"));
const read = (name: string) => readFloat32(tensors.get(name)!);

const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), a.length === b.length ? 0 : Infinity);

const keys = [...tensors.keys()].filter((name) => name.endsWith(".old")).map((name) => name.slice(0, -4));

test.each(keys)("%s", async (key) => {
  const [library, prefix, ...grids] = key.split(".") as [string, string, string, string];
  const [oldGrid, newGrid] = grids.map((grid) => grid.split("x").map(Number) as [number, number]) as [
    [number, number],
    [number, number],
  ];
  const old = await read(`${key}.old`);
  const r = { width: 5, prefixTokens: Number(prefix), oldGrid, newGrid };
  const [own, other] = library === "timm" ? [resampleTimm, resampleTransformers] : [resampleTransformers, resampleTimm];
  const expected = await read(`${key}.new`);
  // PyTorch sums in float32: 16 products of values up to 3, or many more where the grid shrinks, 6e-8 each.
  expect(largestDifference(own(old, r), expected)).toBeLessThan(2e-6);
  const oneByOne = oldGrid.every((edge) => edge === 1);
  if (!oneByOne) expect(largestDifference(other(old, r), expected)).toBeGreaterThan(1e-2); // the two do differ
});

test("the same grid keeps the table, in a copy", () => {
  const table = Float32Array.from({ length: 15 }, (_, i) => i / 7);
  for (const resample of [resampleTimm, resampleTransformers]) {
    const same = resample(table, { width: 3, prefixTokens: 1, oldGrid: [2, 2], newGrid: [2, 2] });
    expect(same).toEqual(table);
    expect(same.buffer).not.toBe(table.buffer);
  }
});
