import { expect, test } from "vitest";
import { rngFrom, rngStream } from "./rng.js";

test("xoshiro128** gives the reference sequence", () => {
  // First outputs of the authors' C code from the state {1, 2, 3, 4}.
  const rng = rngFrom([1, 2, 3, 4]);
  expect([11520, 0, 5927040, 70819200].map(() => rng.uniform() * 2 ** 32)).toEqual([11520, 0, 5927040, 70819200]);
});

test("a stream repeats, differs by name and by seed, and continues from its state", () => {
  const draw = (seed: number, name: string) => Array.from({ length: 4 }, rngStream(seed, name).uniform);
  expect(draw(7, "data")).toEqual(draw(7, "data"));
  expect(draw(7, "data")).not.toEqual(draw(7, "structure"));
  expect(draw(7, "data")).not.toEqual(draw(8, "data"));
  const rng = rngStream(1, "x");
  rng.normal();
  const resumed = rngFrom(rng.state());
  expect(resumed.shuffle([1, 2, 3, 4, 5, 6])).toEqual(rng.shuffle([1, 2, 3, 4, 5, 6]));
});

test("normal draws have mean 0 and variance 1", () => {
  const rng = rngStream(3, "normal");
  const draws = Array.from({ length: 20_000 }, rng.normal);
  const mean = draws.reduce((a, b) => a + b) / draws.length;
  const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length;
  expect(Math.abs(mean)).toBeLessThan(0.03); // 4 standard errors of 1/√20000
  expect(Math.abs(variance - 1)).toBeLessThan(0.04); // 4 standard errors of √(2/20000)
});
