import { expect, test } from "vitest";
import { supernet } from "../adapters/adapted-model.js";
import { presetSpace } from "../adapters/presets.js";
import { rngStream } from "../base/rng.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import { openTiny, TINY_LABELS, tinyData } from "../training/tiny.fixtures.js";
import { measureTimes } from "./measure.js";
import { trainingOf } from "./recipe.js";

test("measures what a plan needs, for steps that are split too, and trains nothing", async () => {
  const runtime = await createNodeRuntime({ threads: 1 });
  try {
    const model = (await openTiny(runtime)).withTask({ kind: "classes", labels: TINY_LABELS });
    const splits = await tinyData({ counts: { train: 30, validation: 15 } }).prepare(model.input);
    const net = supernet(model, presetSpace("glora", model.layers, { rank: 2 }), rngStream(0, "test"));
    const before = net.parameters.slice();
    const times = await measureTimes(net, splits, { ...trainingOf("default", 0), batchSize: 64, microBatchSize: 7 });
    expect(times.step).toBeGreaterThan(0);
    expect(times.rest).toBeGreaterThan(times.validation);
    expect(times.watched).toBe(5);
    expect(net.parameters).toEqual(before);

    const signal = AbortSignal.abort();
    await expect(measureTimes(net, splits, trainingOf("default", 0), signal)).rejects.toMatchObject({
      code: "ABORTED",
    });
  } finally {
    await runtime.dispose();
  }
});
