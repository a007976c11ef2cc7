/** Perplexities of a text, as lm-evaluation-harness has them for tasks of the kind `loglikelihood_rolling`. */
import { words } from "./python-text.js";
import type { TaskResult } from "./results.js";

/**
 *     word_perplexity = exp(−log p / words)     byte_perplexity = exp(−log p / bytes)     bits_per_byte = −log₂ p / bytes
 *
 * @param logLikelihood  of the whole text; natural logarithm
 */
export function perplexities(name: string, text: string, logLikelihood: number): TaskResult {
  const bytes = new TextEncoder().encode(text).length;
  const values = {
    word_perplexity: Math.exp(-logLikelihood / words(text).length),
    byte_perplexity: Math.exp(-logLikelihood / bytes),
    bits_per_byte: -logLikelihood / bytes / Math.LN2,
    loglikelihood: logLikelihood,
  };
  return {
    name: "perplexity",
    alias: name,
    sample_len: 1,
    // One text has no standard error.
    ...Object.fromEntries(
      Object.entries(values).flatMap(([metric, value]) => [
        [`${metric},none`, value],
        [`${metric}_stderr,none`, "N/A"],
      ]),
    ),
  };
}
