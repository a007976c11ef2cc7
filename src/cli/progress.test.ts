import { expect, test } from "vitest";
import type { FitEvent } from "../search/fit.js";
import { recorder } from "./cli.fixtures.js";
import { reportProgress } from "./progress.js";
import { terminalOf } from "./terminal.js";

const event = (done: number, o: { phase?: "train" | "search"; detail?: string; total?: number } = {}): FitEvent => {
  const { phase = "train", detail = "", total = 1000 } = o;
  return {
    type: "progress",
    phase,
    unit: "step",
    detail,
    progress: { done, total, rate: 4, secondsLeft: (total - done) / 4 },
  };
};
const validation: FitEvent = {
  type: "validation",
  phase: "train",
  epoch: 3,
  accuracy: 0.8125,
  loss: 0.51,
  trainLoss: 0.4,
};

/** A reporter on a stream, with a clock of the test's own. */
function arrange(stream: { isTTY?: boolean; columns?: number }, env: Record<string, string> = {}) {
  let time = 0;
  const out = recorder(stream);
  const reporter = reportProgress(out, terminalOf(out, env), () => time);
  return {
    reporter,
    text: out.text,
    at: (seconds: number) => {
      time = seconds;
    },
  };
}

test("in a log, a line comes at most every 10 s and 10 %, or after 5 min, and one at the end", () => {
  const { reporter, text, at } = arrange({});
  for (let step = 1; step <= 1000; step++) {
    at(step / 4);
    reporter.show(event(step, { detail: "loss 0.5" }));
  }
  reporter.end();
  const lines = text().trimEnd().split("\n");
  expect(lines).toEqual([
    ...[100, 200, 300, 400, 500, 600, 700, 800, 900].map((n) =>
      expect.stringMatching(new RegExp(`^train {6}${n / 10} % {2}${n}/1,000 steps`)),
    ),
    "train     1,000 steps in 4 min 10 s  loss 0.5",
  ]);
  expect(lines[0]).toBe("train      10 %  100/1,000 steps  4.0 steps/s  3 min 45 s left  loss 0.5");

  const slow = arrange({});
  for (let step = 1; step <= 20; step++) {
    slow.at(100 * step);
    slow.reporter.show(event(step));
  }
  expect(slow.text().match(/\n/g)).toHaveLength(6); // every 300 s of 2000
});

test("on a terminal one line is drawn over, no wider than the terminal, not more than ten times a second", () => {
  const { reporter, text, at } = arrange({ isTTY: true, columns: 60 }, { NO_COLOR: "1" });
  reporter.show(event(250, { detail: "a detail that has no room here" }));
  at(0.05);
  reporter.show(event(260)); // too soon
  at(0.2);
  reporter.show(event(500));
  expect(text()).toBe(
    "\rtrain     ███░░░░░░░░   25 %  250/1,000 steps  4.0 steps/s…\x1b[K" +
      "\rtrain     ██████░░░░░   50 %  500/1,000 steps  4.0 steps/s…\x1b[K",
  );
});

test("lines that stay push the drawn line down; a phase leaves a line of its own when it ends", () => {
  const { reporter, text, at } = arrange({ isTTY: true, columns: 200 }, { NO_COLOR: "1" });
  reporter.show(event(500));
  const drawn = text();
  reporter.show(validation);
  reporter.note("a remark");
  at(60);
  reporter.show(event(1, { phase: "search" }));
  at(70);
  reporter.show(event(1000, { phase: "search", detail: "best 90.0 %" }));
  reporter.end(); // nothing is being drawn any more
  const bar = (text: string, full: number) => `\r${text}     ${"█".repeat(full)}${"░".repeat(24 - full)}`;
  expect(drawn).toBe(`${bar("train", 12)}   50 %  500/1,000 steps  4.0 steps/s  2 min 05 s left\x1b[K`);
  expect(text()).toBe(
    `${drawn}\rtrain     epoch 3: validation accuracy 81.3 %, loss 0.510 (training 0.400)\x1b[K\n${drawn}` +
      `\ra remark\x1b[K\n${drawn}` +
      `\rtrain     500 of 1,000 steps in 1 min 00 s\x1b[K\n` +
      `\rsearch    ${"░".repeat(24)}    0 %  1/1,000 steps  4.0 steps/s  4 min 10 s left\x1b[K` +
      `\rsearch    1,000 steps in 10 s  best 90.0 %\x1b[K\n`,
  );
});

test("of several trainings in one phase each leaves its line, though one ends early, and a validation says whose it is", () => {
  const { reporter, text, at } = arrange({ isTTY: true, columns: 200 }, { NO_COLOR: "1" });
  reporter.show(event(500, { detail: "finalist 1 of 2" }));
  const first = text();
  at(50);
  reporter.show(event(1, { detail: "finalist 2 of 2" }));
  expect(text().slice(first.length)).toContain("\rtrain     500 of 1,000 steps in 50 s  finalist 1 of 2\x1b[K\n\r");
  const log = arrange({});
  log.reporter.show({ ...validation, phase: "finals", part: "finalist 2 of 2" });
  expect(log.text()).toContain("finals    finalist 2 of 2, epoch 3: validation accuracy 81.3 %");
});

test("a dumb terminal gets plain lines; colours are left out only where NO_COLOR says so", () => {
  const dumb = arrange({ isTTY: true }, { TERM: "dumb" });
  dumb.reporter.show(validation);
  expect(dumb.text()).toBe("train     epoch 3: validation accuracy 81.3 %, loss 0.510 (training 0.400)\n");
  const colourful = arrange({ isTTY: true });
  colourful.reporter.show(event(500));
  expect(colourful.text()).toContain("\x1b[32m████████");
});

test("a plan is told in two lines", () => {
  const { reporter, text } = arrange({});
  const train = { epochs: 30, batchSize: 32, learningRate: 0.001, seed: 0 };
  const further = { ...train, epochs: 10 };
  const search = { population: 20, generations: 9, seed: 0 };
  const layers = [{ name: "a", in: 1, out: 1, bias: true, addableBias: false }];
  const space = { a: "elementwise" as const, layers, forms: new Map() };
  reporter.show({
    type: "plan",
    plan: { recipe: "default", train, search, further, seconds: 1500 },
    space,
    budget: { min: 0, max: 100_000 },
  });
  expect(text()).toBe(
    "plan      30 epochs (batch 32, learning rate 0.001), then 200 candidates, then 10 epochs of the winner; about 25 min 00 s\n" +
      "          1 adapted layer, 0 to 100,000 adapter parameters\n",
  );
});

test("text that is no progress does not end a phase: in a log nothing is written, on a terminal its line is cleared", () => {
  const log = arrange({});
  for (let image = 1; image <= 1000; image++) {
    log.reporter.show(event(image));
    log.reporter.makeWay();
  }
  expect(log.text()).toBe("train     1,000 steps in 0.0 s\n");
  const { reporter, text } = arrange({ isTTY: true, columns: 60 }, { NO_COLOR: "1" });
  reporter.show(event(500));
  const drawn = text();
  reporter.makeWay();
  expect(text()).toBe(`${drawn}\r\x1b[K`);
});

test("one item is one", () => {
  const { reporter, text } = arrange({});
  reporter.show(event(1, { total: 1 }));
  expect(text()).toBe("train     1 step in 0.0 s\n");
});
