/** What a trial sees of the data. */
import { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Dataset, Split } from "../data/dataset.js";

/** The data of a trial, and how many examples it was given to train on. */
export interface TrialData {
  readonly data: Dataset;
  /** Undefined until the data is prepared. */
  trained(): number | undefined;
}

/**
 * The data without its test split, so that no trial can be chosen by it, and with at most so many training examples: drawn
 * by the seed, the classes taking turns as long as each has any left.
 *
 * @throws {GloraError} DATA when it is prepared, if there is nothing to choose by, or nothing to test on
 */
export function trialData(data: Dataset, examples: number | undefined, seed: number): TrialData {
  let trained: number | undefined;
  return {
    trained: () => trained,
    data: {
      ...data,
      describe: () =>
        examples === undefined ? data.describe() : { ...(data.describe() as object), trainExamples: examples, seed },
      prepare: async (...args) => {
        const { train: all, validation, test } = await data.prepare(...args);
        for (const [name, { size }] of Object.entries({ validation, test }))
          if (size === 0)
            throw new GloraError("DATA", `${data.name} has no ${name} examples: methods cannot be compared on it.`);
        const train = examples === undefined ? all : part(all, drawn(all, examples, seed));
        trained = train.size;
        return { train, validation, test: part(all, []) };
      },
    },
  };
}

/** Which examples to train on, in their old order. */
function drawn(split: Split, examples: number, seed: number): number[] {
  const classes = new Map<number, number[]>();
  for (let i = 0; i < split.size; i++) {
    const label = split.labels[i] ?? -1;
    const known = classes.get(label);
    if (known) known.push(i);
    else classes.set(label, [i]);
  }
  const shuffled = [...classes].map(([label, all]) => rngStream(seed, `training examples of ${label}`).shuffle(all));
  const most = Math.max(0, ...shuffled.map(({ length }) => length));
  const inTurns = Array.from({ length: most }, (_, turn) =>
    shuffled.flatMap((all) => all.slice(turn, turn + 1)),
  ).flat();
  return inTurns.slice(0, examples).sort((a, b) => a - b);
}

/** Some examples of a split, by index. */
function part(split: Split, kept: readonly number[]): Split {
  const among = (indices: readonly number[]): number[] => indices.map((i) => kept[i]!);
  const of = (all: Int32Array): Int32Array => (all.length === 0 ? all : Int32Array.from(kept, (i) => all[i]!));
  return {
    size: kept.length,
    labels: of(split.labels),
    names: kept.map((i) => split.names[i]!),
    rows: (index) => split.rows(kept[index]!),
    targets: (indices) => split.targets(among(indices)),
    ...(split.lengths && { lengths: of(split.lengths) }),
    inputs: (indices, o) => split.inputs(among(indices), o),
  };
}
