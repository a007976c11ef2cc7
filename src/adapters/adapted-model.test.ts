import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { type Rng, rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { openFolder } from "../formats/folder.node.js";
import { headWeights, type Model } from "../models/model.js";
import { openModelFolder } from "../models/open.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Session } from "../runtime/runtime.js";
import { adaptedGraph, INPUTS } from "./adapted-graph.js";
import {
  type AdaptedModel,
  balancedRates,
  fixedModel,
  formKinds,
  inheritedModel,
  pullBack,
  supernet,
  trainableFeeds,
  usedByGenome,
} from "./adapted-model.js";
import { PRESETS, presetSpace } from "./presets.js";
import { createSpace, drawGenome, largestGenome } from "./space.js";
import { type Genome, NO_CHANGE, type Structure } from "./structure.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const openFixture = async (name: string): Promise<Model> =>
  openModelFolder(
    await openFolder(fileURLToPath(new URL(`../../test/fixtures/vit/${name}`, import.meta.url))),
    runtime,
  );
/** Two blocks of width 18, three classes; query, key and value have a bias. */
const model = await openFixture("timm-token");
/** Query, key and value have no bias, but can get one. */
const unbiased = await openFixture("transformers-in-memory");

const float32 = (data: Float32Array, ...shape: number[]): Tensor => ({ dtype: "float32", shape, data });
const normal = (length: number, rng: Rng): Float32Array => Float32Array.from({ length }, () => rng.normal());
const largest = (values: Float32Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const distance = (x: Float32Array, y: Float32Array): number => largest(x.map((v, i) => v - y[i]!)) / largest(y);

const genomeOf = (of: Model, structure: Partial<Structure>): Genome =>
  new Map(of.layers.map(({ name }) => [name, { ...NO_CHANGE, ...structure }]));

function images(of: Model, rng: Rng): Record<string, Tensor> {
  const [channels, height, width] = of === model ? [3, 16, 16] : [1, 16, 24];
  return { pixel_values: float32(normal(4 * channels * height * width, rng), 4, channels, height, width) };
}

const openTraining = (adapted: AdaptedModel): Promise<Session> =>
  runtime.open(
    adaptedGraph(adapted.model, {
      layout: adapted.layout,
      head: "trainable",
      loss: { kind: "cross-entropy" },
      gradients: true,
    }),
  );

const step = (rng: Rng): Record<string, Tensor> => ({
  [INPUTS.labels]: { dtype: "int32", shape: [4], data: Int32Array.from({ length: 4 }, () => rng.int(2)) },
  [INPUTS.rowWeights]: float32(new Float32Array(4).fill(0.25), 4),
});

// ---- what is trained

describe("what is trained", () => {
  test("the stored supports of every layer but the head, then the head's weight and bias, in one buffer", () => {
    const genome = genomeOf(model, { A: "lora_2", C: "vector", E: "scalar" });
    const adapted = fixedModel(model, createSpace(model.layers), genome, rngStream(0, "trained"));
    const ofLayer = ["A.Xd", "A.Xu", "C.X", "E.X"];
    expect(adapted.tensors.map(({ name }) => name)).toEqual([
      ...model.layers.flatMap(({ name }) => ofLayer.map((tensor) => `${name}.${tensor}`)),
      "head.weight",
      "head.bias",
    ]);
    let end = 0;
    for (const { offset, shape, length } of adapted.tensors) {
      expect([offset, length]).toEqual([end, shape.reduce((a, b) => a * b)]);
      end += length;
    }
    expect(adapted.parameters).toHaveLength(end);
    expect(adapted.headOffset).toBe(end - 3 * 18 - 3);
  });

  test("a new head is normal of deviation 0.02, its bias zero; supports start at zero but for Xu", () => {
    const wide = model.withTask({ kind: "classes", labels: Array.from({ length: 200 }, (_, i) => `${i}`) });
    const net = supernet(wide, createSpace(wide.layers), rngStream(1, "start"));
    for (const { name, offset, length } of net.tensors) {
      const values = net.parameters.subarray(offset, offset + length);
      if (name === "head.weight") {
        // 3,600 draws: the standard error of the deviation is 1.2 % of it; four of these.
        const deviation = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / length);
        expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(0.05);
      } else
        expect(
          values.some((v) => v !== 0),
          name,
        ).toBe(name.endsWith(".Xu"));
    }
  });

  test("used tensors and kinds of form are those of the genome, the head always", () => {
    const net = supernet(model, createSpace(model.layers, { ranks: [2] }), rngStream(0, "used"));
    const genome = genomeOf(model, { A: "vector", B: "lora_2", E: "scalar" });
    const used = usedByGenome(net, genome);
    const kinds = formKinds(net, genome);
    const expected: Record<string, [number, string]> = {
      ...{ "A.Xd": [1, "vector"], "A.Xu": [0, "vector"], "B.Xd": [1, "lora"], "B.Xu": [1, "lora"] },
      ...{ "C.Xd": [0, "none"], "C.Xu": [0, "none"], "D.X": [0, "none"], "E.X": [1, "scalar"] },
    };
    net.tensors.forEach(({ name }, i) => {
      const tensor = name.split(".").slice(-2).join(".");
      expect([used[i], kinds[i]], name).toEqual(expected[tensor] ?? [1, "head"]);
    });
  });

  test("a model without a head, and a supernet without a genome, are refused", async () => {
    const bare = await openFixture("transformers-bare");
    expect(() => supernet(bare, createSpace(bare.layers), rngStream(0, "bare"))).toThrow(
      "has no head to train: give it a task first.",
    );
    const net = supernet(model, createSpace(model.layers), rngStream(0, "net"));
    expect(() => trainableFeeds(net)).toThrow("A supernet runs one genome at a time: none was given.");
  });
});

// ---- what it computes

describe("with start values the model is the pretrained one", () => {
  const rng = rngStream(3, "start");

  test.each(PRESETS.map((preset) => ({ preset })))("$preset", async ({ preset }) => {
    const data = images(model, rng);
    const base = await runtime.open(adaptedGraph(model, { head: "frozen" }));
    const expected = (await base.run(data))["logits"]!.data as Float32Array;
    const space = presetSpace(preset, model.layers, { rank: 4 });
    const adapted =
      preset === "glora" ? supernet(model, space, rng) : fixedModel(model, space, largestGenome(space), rng);
    adapted.parameters.set((await headWeights(model))!, adapted.headOffset);
    const session = await runtime.open(adaptedGraph(model, { layout: adapted.layout, head: "trainable" }));
    for (let i = 0; i < (preset === "glora" ? 20 : 1); i++) {
      const genome = preset === "glora" ? drawGenome(space, rng) : undefined;
      const { logits } = await session.run({ ...data, ...trainableFeeds(adapted, genome) });
      expect(logits!.data).toEqual(expected); // widths below 128: see emit.test.ts
    }
    await Promise.all([session.dispose(), base.dispose()]);
  });
});

describe.each([
  { name: "with biases", of: model },
  { name: "without query, key and value biases", of: unbiased },
])("a supernet $name", async ({ of }) => {
  const rng = rngStream(4, of.name.split("/").at(-1)!);
  const space = createSpace(of.layers, { ranks: [1, 2] });
  const net = supernet(of, space, rng);
  net.parameters.set(normal(net.parameters.length, rng).map((v) => 0.3 * v));
  const session = await openTraining(net);

  test("a genome of it, made a model of its own, computes the same and has the same gradients", async () => {
    for (let i = 0; i < 5; i++) {
      const genome = drawGenome(space, rng);
      const data = { ...images(of, rng), ...step(rng) };
      const drawn = await session.run({ ...data, ...trainableFeeds(net, genome) });
      const own = inheritedModel(net, genome, rng);
      const ownSession = await openTraining(own);
      const found = await ownSession.run({ ...data, ...trainableFeeds(own) });
      await ownSession.dispose();
      // Two arithmetics of one function, float32 through two blocks.
      expect(distance(found["logits"]!.data as Float32Array, drawn["logits"]!.data as Float32Array)).toBeLessThan(1e-5);

      const shared = new Float32Array(net.parameters.length);
      pullBack(net, drawn["gradients"]!.data as Float32Array, shared, genome);
      const gradients = new Float32Array(own.parameters.length);
      pullBack(own, found["gradients"]!.data as Float32Array, gradients);
      const inherited = inheritedModel({ ...net, parameters: shared }, genome, rng).parameters;
      expect(distance(gradients, inherited)).toBeLessThan(1e-5);
      expect(largest(gradients)).toBeGreaterThan(1e-3);
    }
  });

  test("gradients of stored tensors are the slope of the loss; those that the genome does not use have none", async () => {
    const genome = drawGenome(space, rng);
    const data = { ...images(of, rng), ...step(rng) };
    const at = (parameters: Float32Array) =>
      session.run({ ...data, ...trainableFeeds({ ...net, parameters }, genome) });
    const gradients = new Float32Array(net.parameters.length);
    pullBack(net, (await at(net.parameters))["gradients"]!.data as Float32Array, gradients, genome);
    const used = usedByGenome(net, genome);
    for (const [i, { name, offset, length }] of net.tensors.entries()) {
      const own = gradients.subarray(offset, offset + length);
      if (!used[i]) {
        expect(largest(own), name).toBe(0);
        continue;
      }
      const direction = normal(length, rng);
      const h = 5e-3 / Math.hypot(...direction);
      const loss = async (sign: number): Promise<number> => {
        const moved = net.parameters.slice();
        direction.forEach((v, k) => {
          moved[offset + k]! += sign * h * v;
        });
        return (await at(moved))["loss"]!.data[0] as number;
      };
      const slope = ((await loss(1)) - (await loss(-1))) / 1e-2; // along a direction of length 1
      const expected = own.reduce((sum, v, k) => sum + v * direction[k]!, 0) / Math.hypot(...direction);
      // float32: truncation of order h² and rounding of order 6e-8·loss/h, through two blocks
      expect(Math.abs(slope - expected), `${name}: ${expected}, by differences ${slope}`).toBeLessThan(5e-4);
    }
  });
});

test("balanced rates are lower, by the root of the inputs, for supports that act through a sum over the inputs", () => {
  const net = supernet(model, createSpace(model.layers, { ranks: [2] }), rngStream(1, "rates"));
  const ratesOf = (structure: Partial<Structure>): Record<string, number> => {
    const rates = balancedRates(net, genomeOf(model, structure));
    const { name } = model.layers[0]!;
    return Object.fromEntries(
      net.tensors.flatMap((tensor, i) =>
        tensor.name.startsWith(`${name}.`) ? [[tensor.name.slice(name.length + 1), rates[i]!]] : [],
      ),
    );
  };
  const low = 1 / Math.sqrt(18);
  const all: Partial<Structure> = { A: "vector", B: "lora_2", C: "vector", D: "vector", E: "scalar" };
  expect(ratesOf(all)).toEqual({
    "A.Xd": 1,
    "A.Xu": 1,
    "B.Xd": 1,
    "B.Xu": 1,
    "C.Xd": low,
    "C.Xu": low,
    "D.X": 1,
    "E.X": 1,
  });
  for (const B of ["vector", "scalar"] as const) expect(ratesOf({ B })).toMatchObject({ "B.Xd": low });
  // A step of equal size then moves the output of W·C by as much as E's own, where W is of variance 1/in.
  expect(balancedRates(net, genomeOf(model, all)).at(-1)).toBe(1); // the head
});
