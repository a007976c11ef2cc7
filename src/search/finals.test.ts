import { expect, test } from "vitest";
import type { Candidate, Origin } from "./candidate.js";
import { chooseFinalist, finalistsOf } from "./finals.js";
import { epochOfFinals } from "./plan.js";

test("finalists are the seeds in their order, then the best others, which have a place at least", () => {
  const losses = [5, 4, 6, 1, 2, 3];
  const origins: Origin[] = ["seed", "seed", "seed", "random", "mutant", "mutant"];
  const history = losses.map(
    (loss, index): Candidate<number> => ({
      index,
      generation: 0,
      origin: origins[index]!,
      parents: [],
      key: String(index),
      genome: index,
      parameters: 1,
      accuracy: 0,
      loss,
    }),
  );
  const places = (count: number, of = history) => finalistsOf(of, count, "loss").map(({ index }) => index);
  expect(places(1)).toEqual([3]);
  expect(places(3)).toEqual([0, 1, 3]);
  expect(places(5)).toEqual([0, 1, 2, 3, 4]);
  expect(places(9)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(places(2, history.slice(0, 2))).toEqual([0, 1]);
});

test("an earlier finalist gives way to an accuracy that is better by more than its standard error", () => {
  const scores = (...accuracies: number[]) => accuracies.map((accuracy) => ({ accuracy, loss: 1 - accuracy }));
  // √(0.8 · 0.2 / 100) = 0.04
  expect(chooseFinalist(scores(0.77, 0.8, 0.7), 100)).toBe(0);
  expect(chooseFinalist(scores(0.75, 0.8, 0.79), 100)).toBe(1);
  expect(chooseFinalist(scores(0.77, 0.8, 0.7), 1000)).toBe(1);
  expect(chooseFinalist(scores(0.5, 0.77, 0.8), 100)).toBe(1);
});

test("without classes the lowest loss is chosen, the first of equal ones", () => {
  const scores = [2, 1, 1, 3].map((loss) => ({ accuracy: loss, loss }));
  expect(chooseFinalist(scores, 0)).toBe(1);
});

test.each([
  [7, 2, 4],
  [10, 2, 6],
  [60, 12, 36],
  [1, 1, 1],
  [2, 1, 1],
  [9, 9, 9],
])("of %i epochs, validated every %i, the finals take %i", (epochs, validateEvery, expected) => {
  expect(epochOfFinals({ epochs, validateEvery, batchSize: 1, learningRate: 1, seed: 0 })).toBe(expected);
});
