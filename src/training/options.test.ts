import { expect, test } from "vitest";
import { checkTrainOptions, type TrainOptions } from "./options.js";

test.each<[Partial<TrainOptions>, string]>([
  [{ epochs: 1.5 }, "epochs: expected a whole number of 1 or more, got 1.5."],
  [{ batchSize: 0 }, "batchSize: expected a whole number of 1 or more, got 0."],
  [{ microBatchSize: -4 }, "microBatchSize: expected a whole number of 1 or more, got -4."],
  [{ learningRate: Number.NaN }, "learningRate: expected a finite number of 0 or more, got NaN."],
  [{ clipNorm: 0 }, "clipNorm: expected a number above 0, got 0."],
  [{ labelSmoothing: 1 }, "labelSmoothing: expected a number from 0 up to, but not, 1, got 1."],
  [{ epochs: 5, warmupEpochs: 10 }, "warmupEpochs: a warm-up of 10 epochs is longer than the training of 5 epochs."],
  [{ warmupEpochs: 0.5, schedule: "paper" }, "changes the rate between epochs only: expected a whole number, got 0.5."],
  [{ classWeights: [0, 0, 0] }, "one a class and not all 0, got [0, 0, 0]."],
  [
    { loss: "mse", labelSmoothing: 0.1 },
    "labelSmoothing: only a cross-entropy has labels to smooth, and the loss is mse.",
  ],
  [{ classWeights: [1, 2] }, "classWeights: expected 3 finite numbers ≥ 0, one a class and not all 0, got [1, 2]."],
])("%o is refused", (options, message) => {
  expect(() => checkTrainOptions(options, { classes: 3, loss: "cross-entropy" })).toThrow(message);
});

test.each<[Partial<TrainOptions>, string]>([
  [
    { loss: "cross-entropy" },
    "loss: cross-entropy is no loss for this data, whose examples are of no class: it is trained by mse.",
  ],
  [{ labelSmoothing: 0.1 }, "labelSmoothing: only a cross-entropy has labels to smooth, and the loss is mse."],
  [{ classWeights: "balanced" }, "classWeights: the data has no classes to weigh."],
  [{ classWeights: [1] }, "classWeights: the data has no classes to weigh."],
])("of numbers %o is refused, their own loss is not", (options, message) => {
  const numbers = { classes: 0, loss: "mse" } as const;
  expect(() => checkTrainOptions(options, numbers)).toThrow(message);
  expect(() => checkTrainOptions({ loss: "mse" }, numbers)).not.toThrow();
});

test("what can be is taken, absent options too", () => {
  expect(() => checkTrainOptions({})).not.toThrow();
  expect(() =>
    checkTrainOptions({
      epochs: 1,
      learningRate: 0,
      clipNorm: Number.POSITIVE_INFINITY,
      warmupEpochs: 0.5,
      dropPath: 0.1,
    }),
  ).not.toThrow();
});
