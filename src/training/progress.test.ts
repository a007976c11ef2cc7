import { expect, test } from "vitest";
import { formatCount, formatDuration, formatRate, trackProgress } from "./progress.js";

test("a steady job has its rate and the time that is left", () => {
  let time = 100;
  const tracker = trackProgress(50, () => time);
  for (let i = 1; i <= 20; i++) {
    time += 0.5;
    const { done, total, rate, secondsLeft } = tracker.advance();
    expect([done, total]).toEqual([i, 50]);
    expect(rate).toBeCloseTo(2, 10);
    expect(secondsLeft).toBeCloseTo((50 - i) / 2, 10);
  }
});

test("the rate follows a change of pace", () => {
  let time = 0;
  const tracker = trackProgress(1000, () => time);
  const run = (items: number, seconds: number) => {
    let rate: number | undefined;
    for (let i = 0; i < items; i++) {
      time += seconds;
      rate = tracker.advance().rate;
    }
    return rate!;
  };
  expect(run(200, 0.1)).toBeCloseTo(10, 8);
  const soon = run(1, 1);
  expect(soon).toBeGreaterThan(5);
  expect(soon).toBeLessThan(10);
  // Ten memories later e^−10 of the 200 fast items is left, in a memory of about 30 seconds.
  expect(run(300, 1)).toBeCloseTo(1, 3);
});

test("time that is left out does not slow the rate", () => {
  let time = 0;
  const tracker = trackProgress(10, () => time);
  const step = () => {
    time += 2;
    return tracker.advance();
  };
  step();
  time += 600; // a validation
  tracker.skip();
  const { rate, secondsLeft } = step();
  expect(rate).toBeCloseTo(0.5, 10);
  expect(secondsLeft).toBeCloseTo(16, 10);
});

test("work done before an interruption counts as done, not towards the rate", () => {
  let time = 0;
  const tracker = trackProgress(100, () => time, 90);
  expect(tracker.advance(0)).toEqual({ done: 90, total: 100, rate: undefined, secondsLeft: undefined });
  time = 2;
  const { done, rate, secondsLeft } = tracker.advance(4);
  expect(done).toBe(94);
  expect(rate).toBeCloseTo(2, 10);
  expect(secondsLeft).toBeCloseTo(3, 10);
});

test("durations", () => {
  const texts: [number, string][] = [
    [0, "0.0 s"],
    [3.44, "3.4 s"],
    [9.94, "9.9 s"],
    [9.96, "10 s"],
    [59.6, "1 min 00 s"],
    [125, "2 min 05 s"],
    [3599.7, "1 h 00 min"],
    [3720, "1 h 02 min"],
    [86_390, "1 d 00 h"],
    [273_600, "3 d 04 h"],
  ];
  for (const [seconds, text] of texts) expect(formatDuration(seconds)).toBe(text);
});

test("counts and rates", () => {
  expect(formatCount(150_000)).toBe("150,000");
  expect(formatRate(3.44, "step")).toBe("3.4 steps/s");
  expect(formatRate(1234.5, "image")).toBe("1,235 images/s");
  expect(formatRate(0.4, "step")).toBe("2.5 s/step");
  expect(formatRate(0.01, "candidate")).toBe("1 min 40 s/candidate");
});
