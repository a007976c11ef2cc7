import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { pythonRandom } from "./mt19937.js";

interface Draws {
  readonly seed: number;
  readonly random: readonly number[];
  readonly bits: readonly [count: number, value: number][];
  readonly samples: readonly [n: number, count: number, drawn: number[]][];
}

// Written by CPython's own random.Random (scripts/fixtures/lm-eval.py): equal to the last bit.
const { draws } = JSON.parse(
  readFileSync(new URL("../../test/fixtures/lm-eval/random.fixtures.json", import.meta.url), "utf8"),
) as { draws: readonly Draws[] };

test.each(draws)("seed $seed draws what CPython draws, past a turn of the state", ({ seed, random, bits, samples }) => {
  const chance = pythonRandom(seed);
  const drawn = Array.from({ length: 400 }, () => chance.random());
  expect(drawn.slice(395)).toEqual(random);
  for (const [count, value] of bits) expect(chance.bits(count)).toBe(value);
  for (const [n, count, numbers] of samples) expect(chance.sample(n, count)).toEqual(numbers);
});

test("seeds differ", () => {
  expect(pythonRandom(1).random()).not.toBe(pythonRandom(2).random());
});
