/** A training step on a device beside the same step on the CPU: what `glora devices --check` compares. */
import { adaptedGraph, INPUTS } from "../adapters/adapted-graph.js";
import { fixedModel, trainableFeeds } from "../adapters/adapted-model.js";
import { presetSpace } from "../adapters/presets.js";
import { largestGenome } from "../adapters/space.js";
import { type Rng, rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { evaluateDim } from "../ir/dim.js";
import type { Model } from "../models/model.js";
import { createBuilder } from "../ops/index.js";
import type { Device } from "../runtime/runtime.js";

export interface DeviceCheck {
  readonly device: Device;
  readonly model: string;
  /** Of the loss, relative to the CPU's. */
  readonly lossDifference: number;
  /** Largest difference of a number of the gradient, relative to the CPU's largest. */
  readonly gradientDifference: number;
  /** Numbers in the gradient. */
  readonly gradients: number;
  /** Seconds of the second step, here and on the CPU. */
  readonly seconds: number;
  readonly cpuSeconds: number;
}

const [BATCH, TOKENS] = [2, 12] as const;

/**
 * Takes a step (forward pass, loss, gradient of every support of every layer and of the head) of a model with random adapters
 * on random inputs.
 *
 * @param open  the model on a device; its runtime is disposed of
 */
export async function checkDevice(open: (device: Device) => Promise<Model>, device: Device): Promise<DeviceCheck> {
  const cpu = await stepOf(await open("cpu"));
  const here = await stepOf(await open(device));
  return {
    device,
    model: cpu.model,
    lossDifference: relativeDifference(here.loss, cpu.loss),
    gradientDifference: relativeDifference(here.gradients, cpu.gradients),
    gradients: cpu.gradients.length,
    seconds: here.seconds,
    cpuSeconds: cpu.seconds,
  };
}

async function stepOf(opened: Model) {
  const model = opened.head ? opened : opened.withTask({ kind: "classes", labels: ["a", "b"] });
  try {
    const rng = rngStream(11, "device check");
    const space = presetSpace("glora", model.layers, { rank: 2 });
    const adapted = fixedModel(model, space, largestGenome(space), rng);
    // Fresh adapters change nothing, and half of their gradients are 0.
    adapted.parameters.forEach((value, i) => {
      adapted.parameters[i] = value + 0.02 * rng.normal();
    });
    const head = model.head?.trained ? "trainable" : "frozen";
    const graph = adaptedGraph(model, {
      ...{ layout: adapted.layout, head, logits: false, gradients: true },
      loss: { kind: "cross-entropy" },
    });
    const feeds = { ...randomInputs(model, rng), ...trainableFeeds(adapted) };
    const session = await model.runtime.open(graph, { name: "step", keepArena: true });
    await session.run(feeds);
    const started = performance.now();
    const { loss, gradients } = await session.run(feeds);
    const seconds = (performance.now() - started) / 1000;
    return { model: model.name, loss: numbers(loss), gradients: numbers(gradients), seconds };
  } finally {
    await model.runtime.dispose();
  }
}

/** Inputs and labels of two examples; texts have a few tokens. */
function randomInputs(model: Model, rng: Rng): Record<string, Tensor> {
  const g = createBuilder();
  model.inputs(g);
  const [first] = g.graph.inputs; // pixels or token ids; model.feeds completes what follows from them
  const shape = first!.type.shape.map((dim) => evaluateDim(dim, { batch: BATCH, tokens: TOKENS }));
  const size = shape.reduce((a, b) => a * b, 1);
  const input: Tensor =
    first!.type.dtype === "float32"
      ? { dtype: "float32", shape, data: Float32Array.from({ length: size }, () => rng.normal()) }
      : { dtype: "int64", shape, data: BigInt64Array.from({ length: size }, () => BigInt(1 + rng.int(99))) };
  const inputs = model.feeds({ [first!.name]: input });
  const rows = model.rows === "tokens" ? BATCH * TOKENS : BATCH;
  const labels = Int32Array.from({ length: rows }, () => rng.int(Math.min(100, model.head!.out)));
  return {
    ...inputs,
    [INPUTS.labels]: { dtype: "int32", shape: [rows], data: labels },
    [INPUTS.rowWeights]: { dtype: "float32", shape: [rows], data: new Float32Array(rows).fill(1 / rows) },
  };
}

const numbers = (tensor: Tensor | undefined): Float32Array => tensor?.data as Float32Array;

function relativeDifference(found: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // A NaN is a difference beyond all.
  return found.reduce((most, value, i) => {
    const difference = Math.abs(value - expected[i]!) / largest;
    return difference <= most ? most : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }, 0);
}
