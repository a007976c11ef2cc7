import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { paperSchedule, type WarmupOptions, warmupSchedule } from "./schedule.js";

interface Fixtures {
  /** transformers' schedules, step by step. */
  warmup: (Required<WarmupOptions> & { peak: number; rates: number[] })[];
  /** timm's CosineLRScheduler in the authors' loop, by epoch. */
  paper: { epochs: number; warmupEpochs: number; peak: number; rates: Record<string, number> }[];
}

/** Written by scripts/fixtures/training.py. */
const { warmup, paper }: Fixtures = JSON.parse(
  readFileSync(new URL("../../test/fixtures/training/schedule.fixtures.json", import.meta.url), "utf8"),
);

// Both sides compute in double and order the same few operations differently: a few times 1.1e-16, relative to the peak.
const close = (peak: number) => 1e-15 * peak;

test.each(warmup)(
  "$shape, $warmupSteps of $steps steps warm-up: the rates of transformers",
  ({ peak, rates, ...options }) => {
    const schedule = warmupSchedule(options);
    // After the run transformers' cosine rises again, ours stays: see the next line.
    rates.slice(0, options.steps).forEach((rate, step) => {
      expect(Math.abs(schedule(step, peak) - rate)).toBeLessThanOrEqual(close(peak));
    });
    expect(schedule(options.steps + 5, peak)).toBe(schedule(options.steps + 1, peak));
  },
);

test.each(paper)("paper schedule, $epochs epochs, peak $peak: the rates of timm in the authors' loop", (run) => {
  const schedule = paperSchedule({ stepsPerEpoch: 12, epochs: run.epochs, warmupEpochs: run.warmupEpochs });
  for (const [epoch, rate] of Object.entries(run.rates)) {
    for (const step of [12 * Number(epoch), 12 * Number(epoch) + 11]) {
      expect(Math.abs(schedule(step, run.peak) - rate)).toBeLessThanOrEqual(close(run.peak));
    }
  }
});

test("impossible lengths are refused", () => {
  expect(() => warmupSchedule({ shape: "linear", steps: 10, warmupSteps: 11 })).toThrow(
    "A schedule needs steps ≥ 1 and warmupSteps from 0 to steps, both whole numbers; got steps 10 and warmupSteps 11.",
  );
  expect(() => paperSchedule({ stepsPerEpoch: 1, epochs: 0 })).toThrow("got epochs 0 and warmupEpochs 10.");
});
