import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { dropPathMasks, dropPathRates } from "./drop-path.js";

/** timm's rates and what its drop_path multiplies a kept branch by, written by scripts/fixtures/training.py. */
const cases: { rate: number; depth: number; rates: number[]; kept: number[] }[] = JSON.parse(
  readFileSync(new URL("../../test/fixtures/training/drop-path.fixtures.json", import.meta.url), "utf8"),
);

test.each(cases)("rate $rate over $depth blocks: timm's rates and scaling", ({ rate, depth, rates, kept }) => {
  expect(dropPathRates(rate, depth)).toEqual(rates);
  const masks = dropPathMasks(rates, 500, rngStream(1, "drop-path"));
  kept.forEach((scale, block) => {
    // Both branches; timm divides in float32, this code in double: one unit in the last place.
    for (const row of [2 * block, 2 * block + 1]) {
      const largest = Math.max(...masks.subarray(row * 500, (row + 1) * 500));
      expect(Math.abs(largest / scale - 1)).toBeLessThan(1.2e-7);
    }
  });
});

test("branches are dropped at their rates, each on its own, and a mask has mean 1", () => {
  const batch = 20_000;
  const masks = dropPathMasks([0, 0.25, 0.5], batch, rngStream(2, "drop-path"));
  const row = (index: number) => masks.subarray(index * batch, (index + 1) * batch);
  const mean = (values: Float32Array) => values.reduce((a, b) => a + b) / batch;
  [0, 0, 0.25, 0.25, 0.5, 0.5].forEach((rate, index) => {
    const dropped = row(index).filter((x) => x === 0).length / batch;
    // 4 standard errors: 4·√(p·(1 − p) / 20000), at most 0.0142; of the mean, 4·√(p / (1 − p) / 20000), at most 0.029.
    expect(Math.abs(dropped - rate)).toBeLessThanOrEqual(rate && 0.0142);
    expect(Math.abs(mean(row(index)) - 1)).toBeLessThanOrEqual(rate && 0.029);
  });
  // Attention and MLP of the last block: independent, so both are kept in a quarter of the examples, with product 2·2.
  expect(Math.abs(mean(row(4).map((x, i) => x * row(5)[i]!)) - 1)).toBeLessThan(0.05);
});

test("a batch has the masks of its micro-batches, drawn in order", () => {
  const rates = dropPathRates(0.4, 4);
  const whole = dropPathMasks(rates, 7, rngStream(3, "drop-path"));
  const rng = rngStream(3, "drop-path");
  const parts = [3, 4].map((batch) => dropPathMasks(rates, batch, rng));
  for (let row = 0; row < 8; row++) {
    expect([...parts[0]!.subarray(row * 3, row * 3 + 3), ...parts[1]!.subarray(row * 4, row * 4 + 4)]).toEqual([
      ...whole.subarray(row * 7, row * 7 + 7),
    ]);
  }
});

test.each([1, -0.1, Number.NaN])("a rate of %s is refused", (rate) => {
  expect(() => dropPathRates(rate, 12)).toThrow(
    `dropPath is a probability: expected 0 up to, but not, 1, got ${rate}.`,
  );
});
