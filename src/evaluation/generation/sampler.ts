/** Chooses the next token from the logits, in the order of transformers: penalty, temperature, top-k, top-p. */
import { GloraError } from "../../base/errors.js";
import type { Rng } from "../../base/rng.js";

export interface SamplingOptions {
  /** Divides the logits before a token is drawn; 0 (default): the likeliest token is taken, nothing is drawn. */
  readonly temperature?: number;
  /** Draw from so many of the likeliest tokens; all unless said. */
  readonly topK?: number;
  /** Draw from the fewest tokens whose probabilities reach this share, 0 … 1; all unless said. */
  readonly topP?: number;
  /** Positive logits of tokens that have occurred, in the prompt too, are divided by it, negative ones multiplied. Default: 1. */
  readonly repetitionPenalty?: number;
}

/** @throws {GloraError} USAGE for an option that cannot be */
export function checkSampling({ temperature = 0, topK = 1, topP = 1, repetitionPenalty = 1 }: SamplingOptions): void {
  const refuse = (option: string, expected: string, actual: number): never => {
    throw new GloraError("USAGE", `${option} must be ${expected}, not ${actual}.`, { option, expected, actual });
  };
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    refuse("temperature", "0 (greedy) or more", temperature);
  if (!Number.isInteger(topK) || topK < 1) refuse("topK", "a whole number of at least 1", topK);
  if (!(topP > 0 && topP <= 1)) refuse("topP", "above 0 and at most 1", topP);
  if (!(repetitionPenalty > 0 && repetitionPenalty < Number.POSITIVE_INFINITY))
    refuse("repetitionPenalty", "above 0", repetitionPenalty);
}

/**
 * The next token.
 *
 * @param logits    [vocabulary]; the penalty is written into them
 * @param previous  all tokens so far, of the prompt too
 * @see transformers 5.23, generation/logits_process.py
 */
export function nextToken(logits: Float32Array, previous: Iterable<number>, o: SamplingOptions, rng: Rng): number {
  penalize(logits, previous, o.repetitionPenalty ?? 1);
  if (!o.temperature) return largest(logits);
  const { tokens, probabilities } = distribution(logits, o);
  let left = rng.uniform();
  const drawn = probabilities.findIndex((p) => {
    left -= p;
    return left < 0;
  });
  // What rounding leaves over falls to the likeliest.
  return tokens[Math.max(0, drawn)]!;
}

/** The tokens that can be drawn, the likeliest first, and their probabilities. Of equal logits the smaller id comes first. */
function distribution(
  logits: Float32Array,
  { temperature = 1, topK = logits.length, topP = 1 }: SamplingOptions,
): { readonly tokens: readonly number[]; readonly probabilities: readonly number[] } {
  const order = Array.from(logits, (_, i) => i).sort((a, b) => logits[b]! - logits[a]! || a - b);
  let tokens = order.slice(0, topK);
  const weights = tokens.map((token) => Math.exp((logits[token]! - logits[tokens[0]!]!) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  let reached = 0;
  const count = weights.findIndex((weight) => {
    reached += weight;
    return reached >= topP * total;
  });
  tokens = topP < 1 && count >= 0 ? tokens.slice(0, count + 1) : tokens;
  const kept = weights.slice(0, tokens.length);
  const sum = kept.reduce((a, b) => a + b, 0);
  return { tokens, probabilities: kept.map((weight) => weight / sum) };
}

/** Keskar et al., 2019, arXiv:1909.05858. */
function penalize(logits: Float32Array, previous: Iterable<number>, penalty: number): void {
  if (penalty === 1) return;
  for (const token of new Set(previous)) {
    const logit = logits[token]!;
    logits[token] = logit < 0 ? logit * penalty : logit / penalty;
  }
}

/** The index of the largest number; of equal ones the first. */
function largest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
