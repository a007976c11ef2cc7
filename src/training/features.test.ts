import { afterAll, beforeAll, expect, test } from "vitest";
import { fixedModel } from "../adapters/adapted-model.js";
import { presetSpace } from "../adapters/presets.js";
import { onlyGenome } from "../adapters/space.js";
import { rngStream } from "../base/rng.js";
import type { Model } from "../models/model.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { cacheFeatures } from "./features.js";
import type { TrainOptions } from "./options.js";
import { openTiny, TINY_LABELS, tinyData } from "./tiny.fixtures.js";
import { train } from "./train.js";

let runtime: Runtime;
let model: Model;
beforeAll(async () => {
  runtime = await createNodeRuntime({ threads: 1 });
  model = (await openTiny(runtime)).withTask({ kind: "classes", labels: TINY_LABELS });
}, 60_000);
afterAll(() => runtime.dispose());

test("a head on cached features trains as on the whole model, in fewer runs of the trunk", async () => {
  const splits = await tinyData({ counts: { train: 40 } }).prepare(model.input);
  const o: TrainOptions = { epochs: 5, batchSize: 8, learningRate: 0.01, seed: 1 };
  const head = async (of: Model, data: typeof splits) => {
    const space = presetSpace("linear", of.layers);
    const adapted = fixedModel(of, space, onlyGenome(space)!, rngStream(0, "head"));
    const { best } = await train(adapted, data, o);
    return { parameters: adapted.parameters, best: best! };
  };
  let done = 0;
  const cached = await cacheFeatures(model, splits, {
    onProgress: (examples) => {
      done = examples;
    },
  });
  expect(done).toBe(40 + 12 + 9);
  const [ordinary, short] = [await head(model, splits), await head(cached.model, cached.splits)];
  // A row of a product may be summed in another order in another batch, and 25 steps of Adam carry that on.
  ordinary.parameters.forEach((value, i) => {
    expect(short.parameters[i]).toBeCloseTo(value, 5);
  });
  expect(short.best.accuracy).toBe(ordinary.best.accuracy);
  expect(short.best.loss).toBeCloseTo(ordinary.best.loss, 5);
});

test("its examples are those of the splits", async () => {
  const splits = await tinyData().prepare(model.input);
  const { train: cached, test: none } = (
    await cacheFeatures(model, { ...splits, test: { ...splits.test, size: 0, labels: new Int32Array(), names: [] } })
  ).splits;
  expect([cached.size, cached.labels, cached.names]).toEqual([22, splits.train.labels, splits.train.names]);
  const rows = async (indices: number[]) => (await cached.inputs(indices))["features"]!;
  const [some, two] = [await rows([5, 2]), await rows([2])];
  expect(some.shape).toEqual([2, 16]);
  expect([...some.data.slice(16)]).toEqual([...two.data]);
  expect(none.size).toBe(0);
});
