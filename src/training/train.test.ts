import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adaptedGraph } from "../adapters/adapted-graph.js";
import { type AdaptedModel, fixedModel, supernet, trainableFeeds } from "../adapters/adapted-model.js";
import { presetSpace } from "../adapters/presets.js";
import { namedGenomes, onlyGenome } from "../adapters/space.js";
import { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Augmentation } from "../data/augment.js";
import type { Split, SplitName } from "../data/dataset.js";
import { evaluate, outputsOf } from "../evaluation/evaluate.js";
import type { Model } from "../models/model.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import type { TrainOptions } from "./options.js";
import { openTiny, TINY_LABELS, tinyData } from "./tiny.fixtures.js";
import { type TrainHooks, type TrainState, train, type Validation } from "./train.js";

let runtime: Runtime;
let model: Model;
let splits: Record<SplitName, Split>;
beforeAll(async () => {
  runtime = await createNodeRuntime({ threads: 1 });
  model = (await openTiny(runtime)).withTask({ kind: "classes", labels: TINY_LABELS });
  splits = await tinyData().prepare(model.input);
}, 60_000);
afterAll(() => runtime.dispose());

const newSupernet = (): AdaptedModel =>
  supernet(model, presetSpace("glora", model.layers, { rank: 2 }), rngStream(0, "test"));
const newFixed = (): AdaptedModel => {
  const space = presetSpace("ssf", model.layers);
  return fixedModel(model, space, onlyGenome(space)!, rngStream(0, "test"));
};
const options: TrainOptions = { epochs: 3, batchSize: 8, learningRate: 0.01, seed: 5 };

/** Trains, and returns everything that came out. */
async function trained(adapted: AdaptedModel, o: TrainOptions, hooks: TrainHooks = {}, data = splits) {
  const losses: number[] = [];
  const validations: Validation[] = [];
  const states: TrainState[] = [];
  const result = await train(adapted, data, o, {
    ...hooks,
    onStep: (...step) => {
      losses.push(step[2]);
      hooks.onStep?.(...step);
    },
    onValidation: (validation) => {
      validations.push(validation);
    },
    onCheckpoint: (state) => {
      states.push(state);
    },
  });
  return { ...result, losses, validations, states, last: states.at(-1)! };
}

/** Largest difference, relative to the largest value. */
function relative(a: Float32Array, b: Float32Array): number {
  const largest = a.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) / largest;
}

describe("a step is its micro-batches", () => {
  const augment: Augmentation = { flip: 0.5, crop: { scale: [0.5, 1], ratio: [0.75, 1.33] } };
  const cases: [string, () => AdaptedModel, Partial<TrainOptions>][] = [
    ["plain", newFixed, {}],
    ["a supernet: one draw for all parts", newSupernet, {}],
    ["drop-path and augmentation: the same chance", newSupernet, { dropPath: 0.5, augment }],
    ["class weights", newFixed, { classWeights: [1, 5, 0.2] }],
    ["label smoothing", newFixed, { labelSmoothing: 0.3 }],
    ["mean squared error", newFixed, { loss: "mse" }],
  ];
  test.each(cases)("%s", async (_name, adapted, extra) => {
    const data = await tinyData().prepare(model.input, extra.augment);
    const o = { ...options, ...extra, epochs: 1, batchSize: 22 }; // one step
    const whole = await trained(adapted(), o, {}, data);
    const parts = await trained(adapted(), { ...o, microBatchSize: 5 }, {}, data); // the last of 2: no mean of means
    // float32 sums in another order
    expect(parts.losses).toEqual([expect.closeTo(whole.losses[0]!, 5)]);
    const gradients = whole.last.optimizer.mean; // after one step: 0.1 of them
    expect(relative(gradients, parts.last.optimizer.mean)).toBeLessThan(1e-5);
    // Adam divides a gradient by its size: where that is nothing but rounding, so is the step.
    const largest = gradients.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const sound = (values: Float32Array) => values.filter((_, i) => Math.abs(gradients[i]!) > 1e-3 * largest);
    const [before, one, other] = [adapted(), whole.last, parts.last].map((state) => sound(state.parameters));
    expect(relative(one!, other!)).toBeLessThan(1e-4);
    expect(relative(one!, before!)).toBeGreaterThan(1e-3);
  });

  test("chance has an effect", async () => {
    const o = { ...options, epochs: 1, dropPath: 0.5 };
    const [one, other] = [await trained(newFixed(), o), await trained(newFixed(), { ...o, dropPath: 0 })];
    expect(one.losses[0]).not.toBeCloseTo(other.losses[0]!, 3);
  });
});

test.each<[string, Partial<TrainOptions>, (p: number[], label: number) => number]>([
  ["cross-entropy", {}, (p, label) => -Math.log(p[label]!)],
  [
    "label smoothing",
    { labelSmoothing: 0.3 },
    (p, label) => -0.7 * Math.log(p[label]!) - 0.1 * p.reduce((sum, x) => sum + Math.log(x), 0),
  ],
  ["class weights", { classWeights: [1, 5, 0.2] }, (p, label) => -Math.log(p[label]!)],
])("the loss of a step, computed by hand: %s", async (_name, extra, lossOf) => {
  const adapted = newFixed();
  const { layout } = adapted;
  const session = await runtime.open(adaptedGraph(model, { layout, head: "trainable" }));
  const logits = await outputsOf(session, splits.train, { feeds: trainableFeeds(adapted) });
  await session.dispose();
  const weight = (label: number) => (extra.classWeights as number[] | undefined)?.[label] ?? 1;
  let [sum, weights] = [0, 0];
  splits.train.labels.forEach((label, i) => {
    const exps = [...logits.subarray(3 * i, 3 * i + 3)].map(Math.exp);
    const total = exps.reduce((a, b) => a + b);
    sum +=
      weight(label) *
      lossOf(
        exps.map((e) => e / total),
        label,
      );
    weights += weight(label);
  });
  // All examples in one step, before anything has moved.
  const { losses } = await trained(adapted, { ...options, ...extra, epochs: 1, batchSize: 100, microBatchSize: 5 });
  expect(losses).toHaveLength(1);
  expect(losses[0]).toBeCloseTo(sum / weights, 5); // float32
});

test("mean squared error, computed by hand", async () => {
  const adapted = newFixed();
  const session = await runtime.open(adaptedGraph(model, { layout: adapted.layout, head: "trainable" }));
  const logits = await outputsOf(session, splits.train, { feeds: trainableFeeds(adapted) });
  await session.dispose();
  const squares = [...logits].map((y, i) => (y - (splits.train.labels[Math.floor(i / 3)] === i % 3 ? 1 : 0)) ** 2);
  const { losses } = await trained(adapted, { ...options, epochs: 1, batchSize: 100, loss: "mse" });
  expect(losses[0]).toBeCloseTo(squares.reduce((a, b) => a + b) / squares.length, 5);
});

test("training learns; a seed repeats to the bit, another does not", async () => {
  const adapted = newSupernet();
  const o = { ...options, epochs: 12 };
  const { losses, last } = await trained(adapted, o);
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  expect(mean(losses.slice(-6))).toBeLessThan(0.8 * mean(losses.slice(0, 6)));
  const again = await trained(newSupernet(), o);
  expect(again.losses).toEqual(losses);
  expect(again.last).toEqual(last);
  expect((await trained(newSupernet(), { ...o, seed: 6 })).losses).not.toEqual(losses);
});

test("validation scores named fixed structures as they are, never the last draw", async () => {
  const adapted = newSupernet();
  const { validations } = await trained(adapted, { ...options, validateEvery: 2 });
  expect(validations.map(({ step, epoch }) => [step, epoch])).toEqual([
    [6, 2],
    [9, 3],
  ]);
  const named = namedGenomes(adapted.space);
  expect(Object.keys(validations[1]!.scores)).toEqual(["smallest", "largest", "draw-1", "draw-2", "draw-3"]);
  const session = await runtime.open(adaptedGraph(model, { layout: adapted.layout, head: "trainable" }));
  for (const [name, genome] of named) {
    const feeds = trainableFeeds(adapted, genome);
    expect(validations[1]!.scores[name]).toEqual(await evaluate(session, splits.validation, model, { feeds }));
  }
  await session.dispose();
  const accuracies = Object.values(validations[1]!.scores).map((score) => score.accuracy);
  expect(validations[1]!.accuracy).toBeCloseTo(accuracies.reduce((a, b) => a + b) / 5, 12);
});

test("the best state is kept beside the last one", async () => {
  // A rate that spoils what was learned: the best state is not the last.
  const adapted = newFixed();
  const o: TrainOptions = { ...options, epochs: 12, learningRate: 0.2, schedule: "constant", validateEvery: 1 };
  const { best, validations, last } = await trained(adapted, o);
  const order = [...validations].sort((a, b) => b.accuracy - a.accuracy || a.loss - b.loss);
  expect([best?.step, best?.accuracy, best?.loss]).toEqual([order[0]!.step, order[0]!.accuracy, order[0]!.loss]);
  expect(best!.step).toBeLessThan(36);
  expect(last.parameters).toEqual(adapted.parameters);

  adapted.parameters.set(best!.parameters);
  const session = await runtime.open(adaptedGraph(model, { layout: adapted.layout, head: "trainable" }));
  const score = await evaluate(session, splits.validation, model, { feeds: trainableFeeds(adapted) });
  await session.dispose();
  expect(score.loss).toBe(best!.loss);
});

describe("patience", () => {
  const o: TrainOptions = {
    ...options,
    epochs: 40,
    learningRate: 0.3,
    schedule: "constant",
    validateEvery: 1,
    patience: 2,
  };

  test("stops after so many validations without a better one, and stays stopped", async () => {
    const { steps, stoppedEarly, validations, best, last } = await trained(newFixed(), o);
    expect(stoppedEarly).toBe(true);
    expect(validations.map((v) => v.isBest).slice(-3)).toEqual([true, false, false]);
    expect(steps).toBe(best!.step + 6);

    const resumed = await trained(newFixed(), o, { resume: last });
    expect([resumed.steps, resumed.stoppedEarly, resumed.losses.length]).toEqual([steps, true, 0]);
  });
});

describe("interrupted", () => {
  const o: TrainOptions = { ...options, validateEvery: 1, dropPath: 0.2 };

  test("by its signal in any step, it saves, and goes on with the same bits", async () => {
    const whole = await trained(newSupernet(), o);
    for (let at = 0; at <= 8; at++) {
      const controller = new AbortController();
      if (at === 0) controller.abort();
      const states: TrainState[] = [];
      const stopped = train(newSupernet(), splits, o, {
        signal: controller.signal,
        onStep: (step) => {
          if (step === at) controller.abort();
        },
        onCheckpoint: (state) => {
          states.push(state);
        },
      });
      await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
      expect(states.at(-1)!.step).toBe(at);
      const resumed = await trained(newSupernet(), o, { resume: states.at(-1) });
      expect([...whole.losses.slice(0, at), ...resumed.losses]).toEqual(whole.losses);
      expect(resumed.last).toEqual(whole.last);
      expect(resumed.validations).toEqual(whole.validations.slice(-resumed.validations.length));
    }
  });

  test("in a validation, which is then made again", async () => {
    const whole = await trained(newFixed(), o);
    const controller = new AbortController();
    const states: TrainState[] = [];
    const validation = { ...splits.validation, inputs: splits.validation.inputs.bind(splits.validation) };
    const spoiled: Split = {
      ...validation,
      inputs: (...args) => {
        controller.abort();
        return validation.inputs(...args);
      },
    };
    const stopped = train(newFixed(), { train: splits.train, validation: spoiled }, o, {
      signal: controller.signal,
      onCheckpoint: (state) => {
        states.push(state);
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    expect(states.map(({ step, lossCount }) => [step, lossCount])).toEqual([[3, 3]]);
    const resumed = await trained(newFixed(), o, { resume: states[0] });
    expect(resumed.validations).toEqual(whole.validations);
    expect(resumed.last).toEqual(whole.last);
  });

  test("a state of another model is refused, and nothing is changed", async () => {
    const { last } = await trained(newFixed(), { ...o, epochs: 1 });
    const net = newSupernet();
    const before = net.parameters.slice();
    await expect(trained(net, o, { resume: last })).rejects.toThrow(/saved optimizer state does not fit/);
    expect(net.parameters).toEqual(before);
  });
});

test("divergence is a clear error, and the last checkpoint is from before", async () => {
  const states: TrainState[] = [];
  const diverging = train(
    newFixed(),
    splits,
    { ...options, learningRate: 1e30 },
    {
      checkpointDue: () => true,
      onCheckpoint: (state) => {
        states.push(state);
      },
    },
  );
  await expect(diverging).rejects.toMatchObject({
    code: "CONFIG",
    message: expect.stringMatching(/loss after 1 step is not finite.*Lower the learning rate/s),
  });
  expect(states.map(({ step }) => step)).toEqual([0]);
  expect(states[0]!.parameters).toEqual(newFixed().parameters);
});

test("a validation that is not finite stops training too, also of one structure among several", async () => {
  // One step of a supernet: its smallest structure, of one frozen trunk, may stay sound.
  const o = { ...options, epochs: 1, batchSize: 1000, learningRate: 1e30, schedule: "constant" } as const;
  await expect(train(newSupernet(), splits, o)).rejects.toThrow("The validation loss after 1 step is not finite");
});

describe("odd data", () => {
  const only = (split: Split, indices: readonly number[]): Split => ({
    size: indices.length,
    labels: Int32Array.from(indices, (i) => split.labels[i]!),
    names: indices.map((i) => split.names[i]!),
    rows: () => 1,
    targets: (own) => split.targets(own.map((i) => indices[i]!)),
    inputs: (own, o) =>
      split.inputs(
        own.map((i) => indices[i]!),
        o,
      ),
  });

  test("nothing to train on", async () => {
    const data = { ...splits, train: only(splits.train, []) };
    await expect(train(newFixed(), data, options)).rejects.toThrow("The training split is empty: nothing to train on.");
  });

  test.each(["train", "validation"] as const)("a label outside the head in %s", async (name) => {
    const labels = splits[name].labels.slice();
    labels[2] = 3;
    const data = { ...splits, [name]: { ...only(splits[name], [...splits[name].labels.keys()]), labels } };
    const refused = train(newFixed(), data, options);
    await expect(refused).rejects.toBeInstanceOf(GloraError);
    await expect(refused).rejects.toThrow(
      `Example "${name}/2" of the ${name} split has the label 3; expected 0 … 2, one of the head's classes.`,
    );
  });

  test("no validation split: the last state counts as the best", async () => {
    const { best, validations, steps } = await trained(
      newFixed(),
      options,
      {},
      { ...splits, validation: only(splits.validation, []) },
    );
    expect(best?.step).toBe(steps);
    expect(validations.at(-1)!.scores).toEqual({});
  });

  test("fewer examples than a batch: they are the step, even where partial batches are dropped", async () => {
    const data = { ...splits, train: only(splits.train, [0, 1, 2, 3, 4]) };
    for (const dropLast of [false, true]) {
      const { losses } = await trained(newFixed(), { ...options, dropLast }, {}, data);
      expect(losses).toHaveLength(3);
    }
  });

  test("partial batches are dropped where that is asked for", async () => {
    expect((await trained(newFixed(), { ...options, dropLast: true })).losses).toHaveLength(2 * 3);
  });

  test("examples of one class only", async () => {
    const ofOne = [...splits.train.labels.keys()].filter((i) => splits.train.labels[i] === 1);
    const { losses } = await trained(
      newFixed(),
      { ...options, epochs: 10, classWeights: "balanced" },
      {},
      { ...splits, train: only(splits.train, ofOne) },
    );
    expect(losses.at(-1)!).toBeLessThan(0.3 * losses[0]!);
  });

  test("class weights that do not fit are refused; a step of weight zero moves nothing but by decay", async () => {
    await expect(train(newFixed(), splits, { ...options, classWeights: [1, 2] })).rejects.toThrow(
      "classWeights: expected 3 finite numbers ≥ 0, one a class and not all 0, got [1, 2].",
    );
    const adapted = newFixed();
    const before = adapted.parameters.slice();
    const weightless = [...splits.train.labels.keys()].filter((i) => splits.train.labels[i] !== 2);
    const { losses } = await trained(
      adapted,
      { ...options, classWeights: [0, 0, 1], weightDecay: 0 },
      {},
      { ...splits, train: only(splits.train, weightless) },
    );
    expect(new Set(losses)).toEqual(new Set([0]));
    expect(adapted.parameters).toEqual(before);
  });
});

test("activations that are computed again train to the same bits; a memory limit makes it so", async () => {
  const o = { ...options, epochs: 1 };
  const trainedWith = async (more: Partial<TrainOptions>): Promise<Float32Array> => {
    const adapted = newSupernet();
    await train(adapted, splits, { ...o, ...more });
    return adapted.parameters;
  };
  const kept = await trainedWith({ recompute: false });
  expect(await trainedWith({ recompute: true })).toEqual(kept);
  const opened: number[] = [];
  const watching: Runtime = {
    ...runtime,
    device: runtime.device,
    open: (graph, more) => {
      // What costs next to nothing is computed again in any case; attention only where memory is short.
      const again = graph.nodes.filter(({ name, op }) => op === "Softmax" && name.endsWith("@again"));
      if (more?.name === "training") opened.push(again.length);
      return runtime.open(graph, more);
    },
  };
  for (const memoryLimit of [1, 1e12]) {
    const adapted = newSupernet();
    await train({ ...adapted, model: { ...adapted.model, runtime: watching } }, splits, { ...o, memoryLimit });
  }
  expect(opened).toEqual([2, 0]); // of the model's two blocks, or of none
});
