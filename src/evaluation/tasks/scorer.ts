/** What the tasks ask of a language model. */
import type { LikelihoodRequest } from "./prompts.js";

/** How likely a text is behind its context. */
export interface Likelihood {
  /** Σ log p(token | all before it); natural logarithm. */
  readonly logLikelihood: number;
  /** Whether each of its tokens is the likeliest. */
  readonly greedy: boolean;
}

export interface ScoreOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called as requests are answered, in any order: with the place of the request and the likelihoods of its continuations. */
  readonly onResult?: (index: number, likelihoods: readonly Likelihood[]) => void;
}

export interface LanguageScorer {
  /** The likelihoods of all continuations of each request, in their order. */
  logLikelihoods(requests: readonly LikelihoodRequest[], o?: ScoreOptions): Promise<readonly Likelihood[][]>;
}
