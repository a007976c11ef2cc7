/** The default training settings; docs/defaults.md shows what they were chosen from. */
import type { TrainOptions } from "../training/options.js";

export const defaultTraining = (seed: number): Omit<TrainOptions, "epochs"> => ({
  batchSize: 32,
  learningRate: 1e-3,
  weightDecay: 1e-4,
  clipNorm: 1,
  schedule: "cosine",
  warmupEpochs: 1,
  seed,
});
