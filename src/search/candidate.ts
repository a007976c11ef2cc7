/** What a candidate's evaluation on the validation examples gave. */
export interface Score {
  /** Larger is better; finite. */
  readonly accuracy: number;
  /** Smaller is better; `Infinity` where it was not finite. */
  readonly loss: number;
}

/** Which of the two numbers of a {@link Score} a search goes by. */
export type Fitness = "accuracy" | "loss";

/** How a candidate came to be: known beforehand, drawn, changed from one parent, or mixed from two. */
export type Origin = "seed" | "random" | "mutant" | "crossover";

/** A candidate that has been scored: one line of a search's history. */
export interface Candidate<G> extends Score {
  /** Its place in the history, from 0. */
  readonly index: number;
  /** 0 for the start. */
  readonly generation: number;
  readonly origin: Origin;
  /** Places of its parents in the history: none, one or two. */
  readonly parents: readonly number[];
  /** Equal for candidates of equal function, and only for these. */
  readonly key: string;
  readonly genome: G;
  /** Adapter parameters; the head is not counted. */
  readonly parameters: number;
}

interface Ranked extends Score {
  readonly parameters: number;
}

/** Order of candidates, best first: the fitness, at equal fitness the lower loss, then fewer parameters. */
export const ranking =
  (fitness: Fitness) =>
  (a: Ranked, b: Ranked): number =>
    // `||` passes over 0 and over the NaN of two infinite losses: both mean equal.
    (fitness === "accuracy" && b.accuracy - a.accuracy) || a.loss - b.loss || a.parameters - b.parameters;
