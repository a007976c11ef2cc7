import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import { type Rng, rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { openFolder } from "../formats/folder.node.js";
import { inlineFloat32 } from "../ir/builder.js";
import { AttributeReader, type Graph, type Node, subgraphsOf, type Value } from "../ir/graph.js";
import type { Model } from "../models/model.js";
import { openModelFolder } from "../models/open.js";
import { readWeight } from "../models/weights.js";
import { createBuilder } from "../ops/index.js";
import { eliminateDead } from "../passes/eliminate-dead.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Session } from "../runtime/runtime.js";
import { type AdaptedGraphOptions, adaptedGraph, INPUTS } from "./adapted-graph.js";
import { type AdaptedModel, fixedModel, supernet, trainableFeeds } from "./adapted-model.js";
import { mergeLinear } from "./merge.js";
import { type PresetName, presetSpace } from "./presets.js";
import { createSpace, drawGenome, largestGenome } from "./space.js";
import { NO_CHANGE, type Structure } from "./structure.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const root = fileURLToPath(new URL("../../", import.meta.url));
const openModel = async (path: string): Promise<Model> => openModelFolder(await openFolder(root + path), runtime);
/** Two blocks of width 18, three classes, images of 16 × 16 pixels. */
const model = await openModel("test/fixtures/vit/timm-token");

const float32 = (data: Float32Array, ...shape: number[]): Tensor => ({ dtype: "float32", shape, data });
const normal = (length: number, rng: Rng): Float32Array => Float32Array.from({ length }, () => rng.normal());
const largest = (values: Float32Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const distance = (x: Float32Array, y: Float32Array): number => largest(x.map((v, i) => v - y[i]!)) / largest(y);

/** Images, labels and weights of a step. */
function examples(count: number, rng: Rng): Record<string, Tensor> {
  return {
    pixel_values: float32(normal(count * 3 * 16 * 16, rng), count, 3, 16, 16),
    [INPUTS.labels]: { dtype: "int32", shape: [count], data: Int32Array.from({ length: count }, () => rng.int(3)) },
    [INPUTS.exampleWeights]: float32(new Float32Array(count).fill(1 / count), count),
  };
}

const loss = { kind: "cross-entropy" } as const;

/** Random numbers in every stored tensor, so that every support acts. */
function trained(adapted: AdaptedModel, rng: Rng, deviation = 0.3): AdaptedModel {
  adapted.parameters.set(normal(adapted.parameters.length, rng).map((v) => deviation * v));
  return adapted;
}

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, Float32Array>> {
  const session: Session = await runtime.open(graph);
  const given = Object.fromEntries(graph.inputs.map(({ name }) => [name, feeds[name]!]));
  const found = await session.run(given);
  await session.dispose();
  return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, data as Float32Array]));
}

// ---- gradients through the whole model

describe.each(["elementwise", "product"] as const)("a supernet with %s A", async (a) => {
  const space = createSpace(model.layers, { a, ranks: [1, 3] });
  const rng = rngStream(1, `gradients ${a}`);
  const net = trained(supernet(model, space, rng), rng);
  const graph = adaptedGraph(model, { layout: net.layout, head: "trainable", loss, gradients: true });
  const session = await runtime.open(graph);

  test.each([1, 2, 3])("the gradient of every effective tensor is the slope of the loss (draw %d)", async () => {
    const genome = drawGenome(space, rng);
    const feeds = { ...examples(4, rng), ...trainableFeeds(net, genome) };
    const packed = feeds[INPUTS.trainable]!.data as Float32Array;
    const lossAt = async (data: Float32Array): Promise<number> =>
      (await session.run({ ...feeds, [INPUTS.trainable]: float32(data, data.length) }))["loss"]!.data[0] as number;
    const gradient = (await session.run(feeds))["gradients"]!.data as Float32Array;
    expect(gradient).toHaveLength(packed.length);

    const pieces = [...net.layout.layers].flatMap(([name, { segments }]) =>
      Object.entries(segments).map(([part, { offset, shape }]) => {
        return { name: `${name} ${part}`, offset, length: shape.reduce((p, n) => p * n) };
      }),
    );
    pieces.push({ name: "head", offset: net.layout.size, length: packed.length - net.layout.size });
    for (const { name, offset, length } of pieces) {
      // Along the gradient and a random direction, of length 1 together: neither vanishes by chance.
      const own = gradient.slice(offset, offset + length);
      const noise = normal(length, rng);
      const norm = Math.hypot(...own) || 1;
      const mixed = noise.map((v, i) => own[i]! / norm + v / Math.hypot(...noise));
      const direction = mixed.map((v) => v / Math.hypot(...mixed));
      const h = 5e-3;
      const moved = (sign: number): Float32Array =>
        packed.map((v, i) => (i >= offset && i < offset + length ? v + sign * h * direction[i - offset]! : v));
      const slope = ((await lossAt(moved(1))) - (await lossAt(moved(-1)))) / (2 * h);
      const expected = own.reduce((sum, v, i) => sum + v * direction[i]!, 0);
      console.log(name, slope, expected, Math.abs(slope-expected));
    }
  });
});
