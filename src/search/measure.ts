/** Times a few steps, so that a plan can be made from them. Nothing is trained: the numbers stay as they are. */
import { adaptedGraph } from "../adapters/adapted-graph.js";
import { type AdaptedModel, trainableFeeds } from "../adapters/adapted-model.js";
import { lossFeeds } from "../adapters/loss-feeds.js";
import { drawGenome, namedGenomes } from "../adapters/space.js";
import { throwIfAborted } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Split, SplitName } from "../data/dataset.js";
import { scoringGraph } from "../evaluation/evaluate.js";
import type { TrainOptions } from "../training/options.js";
import { recomputes } from "../training/train.js";
import type { MeasuredTimes } from "./plan.js";

/** Runs that are timed after the first, which allocates; fewer once they have taken so many seconds. */
const [RUNS, ENOUGH] = [4, 3];
/** Seconds for what is not measured: opening sessions, writing files, merging. */
const OVERHEAD = 5;

export async function measureTimes(
  net: AdaptedModel,
  splits: Record<SplitName, Split>,
  train: Omit<TrainOptions, "epochs">,
  signal?: AbortSignal,
): Promise<MeasuredTimes> {
  const { model, space, layout } = net;
  const rng = rngStream(train.seed, "measured structures");
  const stepSize = Math.min(train.batchSize, splits.train.size);
  const size = Math.min(train.microBatchSize ?? stepSize, stepSize);
  const indices = Array.from({ length: size }, (_, i) => i);
  const inputs = await splits.train.inputs(indices);
  const rows = indices.reduce((sum, i) => sum + splits.train.rows(i), 0);
  const targets = lossFeeds(model, splits.train.targets(indices), new Float32Array(rows).fill(1 / rows));
  const loss = { kind: model.loss };
  const scored = model.rows === "tokens"; // its scores come from the loss
  const asked = { layout, head: "trainable", loss, logits: false, gradients: true } as const;
  const recompute = await recomputes(model, splits.train, asked, train);

  /** Seconds of a run, the mean over drawn structures, which differ in cost. */
  const time = async (training: boolean): Promise<number> => {
    const graph = training
      ? adaptedGraph(model, { ...asked, recompute })
      : scoringGraph(model, { layout, head: "trainable" });
    const session = await model.runtime.open(graph, { name: "measurement", keepArena: true });
    const run = async () => {
      throwIfAborted(signal);
      const feeds = trainableFeeds(net, net.genome ?? drawGenome(space, rng));
      await session.run({ ...inputs, ...feeds, ...((training || scored) && targets) });
    };
    try {
      await run();
      const start = performance.now();
      const passed = () => (performance.now() - start) / 1000;
      let runs = 0;
      for (; runs < RUNS && (runs === 0 || passed() < ENOUGH); runs++) await run();
      return passed() / runs;
    } finally {
      await session.dispose();
    }
  };
  const step = (await time(true)) * (stepSize / size);
  const forward = (await time(false)) / size; // an example
  return {
    step,
    validation: forward * splits.validation.size,
    rest: forward * (splits.validation.size + splits.test.size) + OVERHEAD,
    watched: net.genome ? 1 : namedGenomes(space).size,
  };
}
