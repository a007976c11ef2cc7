/** Settings of training by recipe, before a plan says how many epochs; docs/defaults.md shows what the defaults rest on. */
import type { TrainOptions } from "../training/options.js";

export type Recipe = "default" | "paper";

/**
 * A recipe's settings with what is given in their place; its own warm-up is never longer than the given epochs.
 *
 * @param mixed  several supports train together: by the default recipe at balanced rates. One alone is tuned by the rate.
 */
export function trainingOf(
  recipe: Recipe,
  seed: number,
  given: Partial<TrainOptions> = {},
  mixed = false,
): Omit<TrainOptions, "epochs"> {
  const { warmupEpochs, ...others } = RECIPES[recipe];
  const warmup = Math.min(warmupEpochs, given.epochs ?? warmupEpochs);
  const balance = mixed && recipe === "default" ? { balanceRates: true } : {};
  return { ...others, ...balance, warmupEpochs: warmup, ...given, seed };
}

type RecipeSettings = Omit<TrainOptions, "epochs" | "seed"> & { readonly warmupEpochs: number };

const RECIPES: Readonly<Record<Recipe, RecipeSettings>> = {
  default: {
    batchSize: 32,
    learningRate: 3e-3,
    weightDecay: 1e-4,
    clipNorm: 1,
    schedule: "cosine",
    warmupEpochs: 1,
  },
  /** The published runs on VTAB-1K (arXiv:2306.07967, as its code runs it); 500 epochs. */
  paper: {
    batchSize: 64,
    dropLast: true,
    learningRate: 1e-4,
    weightDecay: 1e-4,
    schedule: "paper",
    warmupEpochs: 10,
    dropPath: 0.1,
  },
};
