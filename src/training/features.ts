/**
 * Training the head alone needs the trunk once: its features become the data, and a model that is nothing but the head
 * trains on them. Training and search notice no difference.
 */
import { adaptedGraph } from "../adapters/adapted-graph.js";
import type { Split, SplitName } from "../data/dataset.js";
import { outputsOf } from "../evaluation/evaluate.js";
import type { Model } from "../models/model.js";

export interface CachedFeatures {
  /** The head behind a trunk that gives back its input. */
  readonly model: Model;
  readonly splits: Record<SplitName, Split>;
}

export interface CacheOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of examples done. */
  readonly onProgress?: (examples: number) => void;
}

/** Runs the frozen trunk over every example, without augmentation or drop-path. */
export async function cacheFeatures(
  model: Model,
  splits: Record<SplitName, Split>,
  { signal, onProgress }: CacheOptions = {},
): Promise<CachedFeatures> {
  const width = model.head!.in;
  const session = await model.runtime.open(adaptedGraph(model, { head: "none" }), {
    name: "features",
    keepArena: true,
  });
  let before = 0;
  const cached = async (split: Split): Promise<Split> => {
    const rows = await outputsOf(session, split, { signal, onProgress: (done) => onProgress?.(before + done) });
    before += split.size;
    return featureSplit(split, rows, width);
  };
  try {
    return {
      model: headAlone(model, width),
      splits: {
        train: await cached(splits.train),
        validation: await cached(splits.validation),
        test: await cached(splits.test),
      },
    };
  } finally {
    await session.dispose();
  }
}

const headAlone = (model: Model, width: number): Model => ({
  ...model,
  layers: [],
  residualBranches: 0,
  rows: "examples",
  feeds: (inputs) => ({ ...inputs }),
  inputs: (g) => ({ features: g.input("features", "float32", ["batch", width]) }),
  trunk: (_, __, inputs) => inputs["features"]!,
});

/** @param rows  features [size, width] */
const featureSplit = (split: Split, rows: Float32Array, width: number): Split => ({
  size: split.size,
  labels: split.labels,
  names: split.names,
  rows: () => 1,
  targets: (indices) => split.targets(indices),
  inputs: async (indices) => {
    const data = new Float32Array(indices.length * width);
    indices.forEach((index, i) => {
      data.set(rows.subarray(index * width, (index + 1) * width), i * width);
    });
    return { features: { dtype: "float32", shape: [indices.length, width], data } };
  },
});
