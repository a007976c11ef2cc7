import { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { SplitName } from "./dataset.js";

/** How images that lie in no split are divided. */
export interface ImageSplitOptions {
  /** Share of each class, 0 … 1, for the splits that have no images of their own; 0.15 each unless said. */
  readonly split?: { readonly validation?: number; readonly test?: number };
  /** Seed of the split; 0 unless said. */
  readonly seed?: number;
  /** Bytes for keeping decoded images in memory; 2 GiB unless said. */
  readonly memory?: number;
}

/** Share of each class that goes to a split, 0 … 1; the rest is for training. */
export interface Shares {
  readonly validation: number;
  readonly test: number;
}

/**
 * Divides the examples of one class: round(share · n) of them to each split, at least one, drawn by the class's own
 * stream of chance (other classes' examples do not matter), in their old order within each split.
 *
 * @returns the three parts, or undefined where nothing would be left to train on
 */
export function splitClass<T>(
  label: string,
  examples: readonly T[],
  { validation, test }: Shares,
  seed: number,
): Record<SplitName, T[]> | undefined {
  const count = (share: number): number => (share > 0 ? Math.max(1, Math.round(share * examples.length)) : 0);
  const toTest = count(test);
  const held = toTest + count(validation);
  if (held >= examples.length) return undefined;
  const order = rngStream(seed, `split/${label}`).shuffle(examples.map((_, index) => index));
  const take = (from: number, to?: number): T[] =>
    order
      .slice(from, to)
      .sort((a, b) => a - b)
      .map((index) => examples[index]!);
  return { test: take(0, toTest), validation: take(toTest, held), train: take(held) };
}

const defaultShare = 0.15;

/** @throws {GloraError} USAGE for shares that leave nothing to train on */
export function checkShares({
  validation = defaultShare,
  test = defaultShare,
}: ImageSplitOptions["split"] = {}): Shares {
  if (!(validation >= 0 && test >= 0 && validation + test < 1))
    throw new GloraError(
      "USAGE",
      `The shares for validation (${validation}) and test (${test}) must not be negative and must leave something to ` +
        `train on: together below 1.`,
      { validation, test },
    );
  return { validation, test };
}
