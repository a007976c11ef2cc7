import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { pairedTest, spreadOf, studentP } from "./compare-statistics.js";

interface Fixtures {
  readonly twoSided: readonly { t: number; degrees: number; p: number }[];
  readonly samples: readonly {
    values: number[];
    mean: number;
    deviation: number;
    standardError: number;
    t: number;
    p: number;
  }[];
}

// Written by scripts/fixtures/paired-statistics.py: SciPy.
const file = new URL("../../test/fixtures/statistics/statistics.fixtures.json", import.meta.url);
const fixtures = JSON.parse(readFileSync(file, "utf8")) as Fixtures;

test.each(fixtures.twoSided)("two-sided p of t = $t with $degrees degrees of freedom", ({ t, degrees, p }) => {
  expect(Math.abs(studentP(t, degrees) - p)).toBeLessThan(1e-14); // 1 − A of sums of at most 50 terms below 1
});

test.each(fixtures.samples)("mean, deviation and paired test of $values.length values", (expected) => {
  const { values, mean, deviation, standardError, t, p } = expected;
  expect(spreadOf(values).mean).toBeCloseTo(mean, 12);
  expect(spreadOf(values).deviation).toBeCloseTo(deviation, 12);
  const found = pairedTest(values);
  expect(found.standardError).toBeCloseTo(standardError, 12);
  expect(found.t).toBeCloseTo(t, 10);
  expect(found.p).toBeCloseTo(p, 12);
  expect(found.positive + found.negative).toBe(values.length);
});

test("too few pairs have no spread, and pairs without a difference no doubt", () => {
  expect(spreadOf([0.5])).toEqual({ values: [0.5], n: 1, mean: 0.5, deviation: Number.NaN });
  expect(pairedTest([0.1])).toMatchObject({ n: 1, mean: 0.1, p: Number.NaN, positive: 1, negative: 0 });
  expect(pairedTest([0, 0, 0])).toMatchObject({ t: 0, p: 1, positive: 0, negative: 0 });
  expect(pairedTest([0.25, 0.25])).toMatchObject({ t: Number.POSITIVE_INFINITY, p: 0 });
});
