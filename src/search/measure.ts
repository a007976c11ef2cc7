/** Times a few steps, so that a plan can be made from them. Nothing is trained: the numbers stay as they are. */
import { adaptedGraph, INPUTS } from "../adapters/adapted-graph.js";
import { type AdaptedModel, fixedModel, trainableFeeds } from "../adapters/adapted-model.js";
import { drawGenome, namedGenomes } from "../adapters/space.js";
import { throwIfAborted } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Split, SplitName } from "../data/dataset.js";
import type { Session } from "../runtime/runtime.js";
import type { TrainOptions } from "../training/options.js";
import type { MeasuredTimes } from "./plan.js";

/** The first run of a session allocates; of the others the mean counts, since drawn structures differ in cost. */
const RUNS = 4;

export async function measureTimes(
  net: AdaptedModel,
  splits: Record<SplitName, Split>,
  train: Omit<TrainOptions, "epochs">,
  signal: AbortSignal | undefined,
): Promise<MeasuredTimes> {
  const { model, space } = net;
  const rng = rngStream(train.seed, "measured structures");
  const size = Math.min(train.microBatchSize ?? train.batchSize, splits.train.size);
  const parts = Math.ceil(Math.min(train.batchSize, splits.train.size) / size);
  const indices = Array.from({ length: size }, (_, i) => i);
  const inputs = await splits.train.inputs(indices);
  const example = {
    [INPUTS.exampleWeights]: { dtype: "float32", shape: [size], data: new Float32Array(size).fill(1 / size) },
    [INPUTS.labels]: { dtype: "int32", shape: [size], data: Int32Array.from(indices, (i) => splits.train.labels[i]!) },
  } as const;
  const loss = { kind: "cross-entropy" } as const;

  const time = async (adapted: AdaptedModel, training: boolean): Promise<number> => {
    const graph = adaptedGraph(model, {
      layout: adapted.layout,
      head: "trainable",
      ...(training && { loss, gradients: true }),
    });
    const session: Session = await model.runtime.open(graph, { name: "measurement" });
    try {
      let start = 0;
      for (let i = 0; i < RUNS; i++) {
        throwIfAborted(signal);
        if (i === 1) start = performance.now();
        const feeds = trainableFeeds(adapted, adapted.genome ?? drawGenome(space, rng));
        await session.run({ ...inputs, ...feeds, ...(training && example) });
      }
      return (performance.now() - start) / 1000 / (RUNS - 1);
    } finally {
      await session.dispose();
    }
  };
  const trainStep = parts * (await time(net, true));
  const forward = (await time(net, false)) / size; // an example
  const fixed = net.genome ? net : fixedModel(model, space, drawGenome(space, rng), rng);
  return {
    trainStep,
    furtherStep: net.genome ? trainStep : parts * (await time(fixed, true)),
    validation: forward * splits.validation.size,
    rest: forward * (splits.validation.size + splits.test.size) + 5,
    stepsPerEpoch: Math.ceil(splits.train.size / train.batchSize),
    watched: net.genome ? 1 : namedGenomes(space).size,
  };
}
