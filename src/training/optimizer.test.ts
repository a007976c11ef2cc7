import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { adamw, type TensorSlot } from "./optimizer.js";

interface Trajectory {
  lengths: number[];
  decays: boolean[];
  weightDecay: number;
  start: number[];
  gradients: number[][];
  used: number[][];
  rates: number[][];
  "zero-gradient": number[][];
  skip: number[][];
}

/** torch.optim.AdamW over 24 steps, written by scripts/fixtures/training.py. */
const torch: Trajectory = JSON.parse(
  readFileSync(new URL("../../test/fixtures/training/adamw.fixtures.json", import.meta.url), "utf8"),
);

const slots = (lengths: number[], decays: boolean[]): TensorSlot[] => {
  let offset = 0;
  return lengths.map((length, i) => {
    const slot = { offset, length, decay: decays[i]! };
    offset += length;
    return slot;
  });
};

const trajectory = (undrawn: "zero-gradient" | "skip"): number[][] => {
  const optimizer = adamw(slots(torch.lengths, torch.decays), { weightDecay: torch.weightDecay, undrawn });
  const parameters = Float32Array.from(torch.start);
  return torch.gradients.map((gradient, t) => {
    optimizer.step(parameters, Float32Array.from(gradient), {
      used: Uint8Array.from(torch.used[t]!),
      learningRates: torch.rates[t]!,
    });
    return [...parameters];
  });
};

const largestDifference = (a: number[][], b: number[][]): number =>
  Math.max(...a.flatMap((row, t) => row.map((x, i) => Math.abs(x - b[t]![i]!))));

test.each(["zero-gradient", "skip"] as const)("AdamW with undrawn = %s follows torch", (undrawn) => {
  // torch rounds every operation to float32, this code once a step. A step moves a parameter by about 0.01 and rounds it
  // by at most 1.2e-7 (half a unit in the last place near 2): 24 steps differ by less than 1e-6.
  expect(largestDifference(trajectory(undrawn), torch[undrawn])).toBeLessThan(1e-6);
});

test("the two ways to treat an undrawn tensor differ", () => {
  expect(largestDifference(torch["zero-gradient"], torch.skip)).toBeGreaterThan(1e-2);
});

test("gradients of unused tensors are not read, and a tensor never used stays as it is", () => {
  const optimizer = adamw(slots([2, 2], [true, true]));
  const parameters = Float32Array.of(1, 2, 3, 4);
  const plan = { used: Uint8Array.of(1, 0), learningRates: [0.1, 0.1] };
  optimizer.step(parameters, Float32Array.of(1, 1, Number.NaN, Number.NaN), plan);
  expect(parameters[0]).not.toBe(1);
  expect([...parameters.subarray(2)]).toEqual([3, 4]);
});

test("an undrawn tensor goes on at its own last rate", () => {
  const optimizer = adamw(slots([1], [false]));
  const parameters = Float32Array.of(0);
  optimizer.step(parameters, Float32Array.of(1), { used: Uint8Array.of(1), learningRates: [0.5] });
  expect(parameters[0]).toBeCloseTo(-0.5, 6); // Adam's first step is the rate itself
  optimizer.step(parameters, Float32Array.of(0), { used: Uint8Array.of(0), learningRates: [1000] });
  // m = 0.09, v = 0.000999 after a zero gradient: 0.5 · (0.09 / 0.19) / √(0.000999 / 0.001999)
  expect(parameters[0]).toBeCloseTo(-0.5 - (0.5 * (0.09 / 0.19)) / Math.sqrt(0.000999 / 0.001999), 5);
});

test("a restored optimizer goes on with the same bits", () => {
  const table = slots([7, 5, 3], [true, false, true]);
  const rng = rngStream(1, "optimizer");
  const steps = Array.from({ length: 20 }, () => ({
    gradients: Float32Array.from({ length: 15 }, rng.normal),
    plan: {
      used: Uint8Array.from({ length: 3 }, () => rng.int(2)),
      learningRates: Array.from({ length: 3 }, () => rng.uniform() * 0.1),
    },
  }));
  const whole = Float32Array.from({ length: 15 }, rng.normal);
  const resumed = whole.slice();
  const first = adamw(table);
  for (const { gradients, plan } of steps) first.step(whole, gradients, plan);

  let optimizer = adamw(table);
  for (const { gradients, plan } of steps) {
    const saved = optimizer.state();
    optimizer.step(new Float32Array(15), gradients, plan); // must not reach the copy
    optimizer = adamw(table);
    optimizer.restore(saved);
    optimizer.step(resumed, gradients, plan);
  }
  expect(resumed).toEqual(whole);
  expect(optimizer.state()).toEqual(first.state());
});

test("a state of another model is refused", () => {
  const saved = adamw(slots([4], [true])).state();
  expect(() => adamw(slots([6], [true])).restore(saved)).toThrow(
    'The saved optimizer state does not fit: "mean" holds 4 numbers, expected 6. ' +
      "Resume with the model, space and layers that the run was started with.",
  );
});
