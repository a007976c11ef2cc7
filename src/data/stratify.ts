import { rngStream } from "../base/rng.js";
import type { SplitName } from "./dataset.js";

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
