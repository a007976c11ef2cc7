import { describe, expect, test } from "vitest";
import { evolve } from "./evolution.js";
import {
  candidatesOf,
  type MeasuredTimes,
  type PlanRequest,
  planDefault,
  planPaper,
  searchFor,
  secondsOf,
  withSearch,
} from "./plan.js";
import { trainingOf } from "./recipe.js";

const times: MeasuredTimes = { step: 0.1, validation: 0.5, rest: 6, watched: 5 };
const request: PlanRequest = {
  maxSeconds: 3600,
  searched: true,
  further: true,
  times,
  stepsPerEpoch: 20,
  train: trainingOf("default", 7),
  seed: 7,
};

describe("the default plan", () => {
  test("keeps to the time, and uses it", () => {
    let before = 0;
    for (const maxSeconds of [80, 160, 320]) {
      const { seconds, train, search, further } = planDefault({ ...request, maxSeconds });
      expect(seconds).toBeLessThanOrEqual(maxSeconds);
      expect(seconds).toBeGreaterThan(0.6 * maxSeconds);
      expect(train.epochs).toBeGreaterThan(before);
      before = train.epochs;
      // The three amounts keep their proportions: 30 epochs, 600 candidates, 60 further epochs.
      expect(candidatesOf(search!) / train.epochs / 20).toBeCloseTo(1, 0);
      expect(further!.epochs / train.epochs).toBeCloseTo(2, 0);
    }
  });

  test("never does more than its most, nor than the paper", () => {
    const { train, search, further } = planDefault({ ...request, maxSeconds: 1e9 });
    expect([train.epochs, further?.epochs]).toEqual([30, 60]);
    expect(candidatesOf(search!)).toBeLessThanOrEqual(610);
    const alone = planDefault({ ...request, searched: false, maxSeconds: 1e9 });
    expect([alone.train.epochs, alone.search, alone.further]).toEqual([90, undefined, undefined]);
    for (const epochs of [train.epochs, alone.train.epochs]) expect(epochs).toBeLessThanOrEqual(500);
  });

  test("never does less than its least, and its seconds say that this does not fit", () => {
    const { seconds, train, search, further } = planDefault({ ...request, maxSeconds: 1 });
    expect([train.epochs, further?.epochs]).toEqual([2, 4]);
    expect(candidatesOf(search!)).toBeGreaterThanOrEqual(24);
    expect(seconds).toBeGreaterThan(1);
  });

  test("takes what is given and plans the rest", () => {
    const plan = planDefault({ ...request, maxSeconds: 400, given: { epochs: 10 } });
    expect([plan.train.epochs, plan.further?.epochs]).toEqual([10, 20]); // in proportion, not the most there is time for
    expect(plan.seconds).toBeLessThanOrEqual(400);
    const search = { population: 10, generations: 4, fitness: "loss" } as const;
    const given = planDefault({ ...request, search, given: { further: 3 } });
    expect(given.search).toEqual({
      ...search,
      parents: 2,
      mutants: 5,
      crossovers: 5,
      seeded: true,
      finalists: 4,
      seed: 7,
    });
    expect(given.further?.epochs).toBe(3);
    expect(planDefault({ ...request, further: false }).further).toBeUndefined();
  });

  test("its warm-up is at most a third of a training, and a given one as it is", () => {
    const warmups = (given: NonNullable<PlanRequest["given"]>) => {
      const { train, further } = planDefault({ ...request, given });
      return [train.warmupEpochs, further?.warmupEpochs];
    };
    expect(warmups({ epochs: 1, further: 2 })).toEqual([1 / 3, 2 / 3]);
    expect(warmups({ epochs: 3, further: 7 })).toEqual([1, 1]);
    expect(warmups({ epochs: 1, further: 2, warmup: 0.5 })).toEqual([0.5, 0.5]);
    expect(warmups({ epochs: 1, further: 2, warmup: 0 })).toEqual([0, 0]);
  });

  test("the winner is trained on at three times the rate, with no longer a warm-up than it has epochs", () => {
    const { train, further } = planDefault(request);
    expect(further).toMatchObject({ learningRate: 3 * train.learningRate, warmupEpochs: 1, seed: 7 });
  });

  test("its seconds are those of its work", () => {
    const search = { population: 5, generations: 1, mutants: 1, crossovers: 1, finalists: 3, seed: 0 };
    const train = { ...request.train, epochs: 2 };
    const further = { ...train, epochs: 6, validateEvery: 2 };
    // 2 epochs of 20 steps and 6 of the winner; 5 validations of 5 structures, 5 of the winner; 10 candidates; the rest.
    const one = 8 * 20 * 0.1 + 5 * 5 * 0.5 + 5 * 0.5 + 10 * 0.5 + 6;
    expect(secondsOf({ train, search: { ...search, finalists: 1 }, further }, request)).toBeCloseTo(one, 12);
    // Two others up to epoch 4, where the validation after the middle is; half of the validations each.
    const losers = 2 * (4 * 20 * 0.1 + 2.5 * 0.5);
    expect(secondsOf({ train, search, further }, request)).toBeCloseTo(one + losers, 12);
    expect(secondsOf({ train, search }, request)).toBeCloseTo(one - 6 * 20 * 0.1 - 5 * 0.5, 12);
  });
});

test.each([24, 40, 100, 600, 1050])("%d candidates are about what the search scores", async (candidates) => {
  const settings = searchFor(candidates, 0);
  expect(candidatesOf(settings) / candidates).toBeCloseTo(1, 0.5);
  let next = 0;
  const { history } = await evolve<number>({
    ...settings,
    score: async (genome) => ({ accuracy: genome, loss: 0 }),
    genes: {
      random: () => next++,
      mutate: () => next++,
      crossover: () => next++,
      repair: (genome) => genome,
      key: String,
      count: () => 1,
    },
  });
  expect(history).toHaveLength(candidatesOf(settings));
});

test("the paper's plan is the paper's", () => {
  const plan = planPaper({ ...request, train: trainingOf("paper", 7), further: false, stepsPerEpoch: 12 });
  expect(plan).toMatchObject({
    recipe: "paper",
    train: {
      epochs: 500,
      batchSize: 64,
      dropLast: true,
      learningRate: 1e-4,
      weightDecay: 1e-4,
      schedule: "paper",
      warmupEpochs: 10,
      dropPath: 0.1,
    },
    search: { population: 50, generations: 20, parents: 10, mutants: 25, crossovers: 25, fitness: "accuracy" },
  });
  expect(plan.train.clipNorm).toBeUndefined();
  expect(plan.further).toBeUndefined();
  expect(candidatesOf(plan.search!)).toBe(1050);
  expect(plan.seconds).toBeGreaterThan(500 * 12 * 0.1);
  const more = planPaper({ ...request, train: trainingOf("paper", 7), given: { further: 9 } });
  expect(more.further).toMatchObject({ epochs: 9, learningRate: 3 * 1e-4, warmupEpochs: 9 });
});

test("a plan for another search of the same supernet", () => {
  const plan = planDefault({ ...request, further: false });
  expect(withSearch(plan, {})).toEqual(plan);
  expect(withSearch(plan, { search: { population: 4 } }).search).toEqual({ ...plan.search, population: 4 });
  const more = withSearch(plan, { further: { epochs: 3 } });
  expect(more.further).toMatchObject({ epochs: 3, learningRate: 3 * plan.train.learningRate });
  expect(withSearch(more, {}).further).toEqual(more.further);
  expect(withSearch(more, { further: false }).further).toBeUndefined();
});

test("a recipe's own warm-up is never longer than the epochs that are given; a given one is taken as it is", () => {
  expect(trainingOf("paper", 0, { epochs: 4 })).toMatchObject({ warmupEpochs: 4, learningRate: 1e-4 });
  expect(trainingOf("paper", 0)).toMatchObject({ warmupEpochs: 10 });
  expect(trainingOf("default", 0, { epochs: 4, warmupEpochs: 2 })).toMatchObject({ warmupEpochs: 2 });
});
