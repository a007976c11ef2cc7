import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { clipGradientNorm, type NamedSlot } from "./clip.js";

interface Case {
  lengths: number[];
  maxNorm: number;
  before: number[];
  norm: number;
  after: number[];
}

/** torch.nn.utils.clip_grad_norm_, written by scripts/fixtures/training.py. */
const cases: Case[] = JSON.parse(
  readFileSync(new URL("../../test/fixtures/training/clip.fixtures.json", import.meta.url), "utf8"),
);

const slots = (lengths: number[]): NamedSlot[] => {
  let offset = 0;
  return lengths.map((length, i) => {
    offset += length;
    return { name: `tensor ${i}`, offset: offset - length, length };
  });
};

test.each(cases)("clipping to norm $maxNorm gives torch's gradients", ({ lengths, maxNorm, before, norm, after }) => {
  const gradients = Float32Array.from(before);
  const all = new Uint8Array(lengths.length).fill(1);
  // torch sums and scales in float32: relative error of a few times 6e-8.
  expect(Math.abs(clipGradientNorm(gradients, slots(lengths), all, maxNorm) / norm - 1)).toBeLessThan(5e-7);
  gradients.forEach((g, i) => {
    expect(Math.abs(g - after[i]!)).toBeLessThanOrEqual(5e-7 * Math.abs(after[i]!));
  });
});

test("the cases clip and do not clip", () => {
  expect(cases.map(({ norm, maxNorm }) => norm > maxNorm)).toEqual([true, true, false]);
});

test("unused tensors neither count nor change", () => {
  const gradients = Float32Array.of(3, 4, Number.NaN);
  expect(clipGradientNorm(gradients, slots([2, 1]), Uint8Array.of(1, 0), 1)).toBe(5);
  expect(gradients[0]).toBeCloseTo(0.6, 6);
  expect(gradients[2]).toBeNaN();
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])(
  "a gradient of %s is reported by name, and nothing is changed",
  (bad) => {
    const gradients = Float32Array.of(3, 4, bad, 1);
    expect(() => clipGradientNorm(gradients, slots([2, 2]), Uint8Array.of(1, 1), 1)).toThrow(
      'The gradient of "tensor 1" is not finite: training has diverged. Lower the learning rate, lengthen the ' +
        "warm-up, or limit the gradient norm.",
    );
    expect(gradients[0]).toBe(3);
  },
);

test("the largest float32 gradients do not overflow, and an infinite limit only measures", () => {
  const gradients = Float32Array.of(3e38, 3e38);
  expect(clipGradientNorm(gradients, slots([2]), Uint8Array.of(1), Number.POSITIVE_INFINITY) / 3e38).toBeCloseTo(
    Math.SQRT2,
    6,
  );
  expect(gradients).toEqual(Float32Array.of(3e38, 3e38));
});
