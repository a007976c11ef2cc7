import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import { type Rng, rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { openFolder } from "../formats/folder.node.js";
import { inlineFloat32 } from "../ir/builder.js";
import { AttributeReader, dependenciesOf, type Graph, type Node, subgraphsOf, type Value } from "../ir/graph.js";
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
    [INPUTS.rowWeights]: float32(new Float32Array(count).fill(1 / count), count),
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
      // float32: truncation of order h² and rounding of order 6e-8·loss/h, through some ten layers; measured 2.5e-4.
      expect(Math.abs(slope - expected), `${name}: ${expected}, by differences ${slope}`).toBeLessThan(5e-4);
    }
  });
});

// ---- what is computed

const operators = (graph: Graph): Node[] => eliminateDead(graph).nodes;
const backwardOf = (graph: Graph): string[] =>
  operators(graph).flatMap(({ name }) => (name.startsWith("grad(") ? [name] : []));

/** The training graph of a preset on some layers. */
function training(preset: PresetName, layers?: string[], o: Partial<AdaptedGraphOptions> = {}): Graph {
  const space = presetSpace(preset, model.layers, { rank: 2, ...(layers && { layers }) });
  const { layout } = fixedModel(model, space, largestGenome(space), rngStream(0, "training"));
  return adaptedGraph(model, { layout, head: "trainable", loss, gradients: true, ...o });
}

describe("nothing below the first trainable tensor is computed backwards", () => {
  test("linear: from the loss to the head's weights, nothing of the trunk", () => {
    const names = backwardOf(training("linear"));
    expect(names.filter((name) => /blocks|norm|patch/.test(name))).toEqual([]);
    expect(names.some((name) => name.startsWith("grad(head/"))).toBe(true);
    // LogSoftmax's three or four nodes, the product for the weight, the sum for the bias, and what scales the loss.
    expect(names.length).toBeLessThan(30);
  });

  test("the last layer alone: its block's attention and the blocks below take no part", () => {
    const names = backwardOf(training("lora", ["blocks.1.mlp.fc2"]));
    expect(names.filter((name) => /blocks\.0|attn|norm1|norm2|mlp\.fc1|Gelu/.test(name))).toEqual([]);
    expect(names.some((name) => name.includes("blocks.1.mlp.fc2"))).toBe(true);
  });

  test("the deeper the first adapted layer, the more nodes", () => {
    const counts = [
      training("linear"),
      training("lora", ["blocks.1.mlp.fc2"]),
      training("lora", ["blocks.1.*"]),
      training("lora"),
    ].map((graph) => backwardOf(graph).length);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(new Set(counts).size).toBe(counts.length);
  });

  test("the first adapted layer gives no gradient to its input", () => {
    const graph = training("lora", ["blocks.0.attn.qkv"]);
    const names = backwardOf(graph).filter((name) => name.includes("blocks.0.attn.qkv"));
    expect(names.length).toBeGreaterThan(0);
    expect(backwardOf(graph).filter((name) => /blocks\.0\.norm1|patch/.test(name))).toEqual([]);
    const weight = graph.find("blocks.0.attn.qkv.weight")!;
    expect(operators(graph).filter(({ inputs }) => inputs.includes(weight))).toHaveLength(1);
  });

  test("without gradients, or without anything to train, there are none", () => {
    expect(backwardOf(training("lora", undefined, { gradients: false }))).toEqual([]);
    const graph = adaptedGraph(model, { head: "frozen", loss, gradients: true });
    expect(backwardOf(graph)).toEqual([]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["logits", "loss"]);
    expect(graph.inputs.map(({ name }) => name)).not.toContain(INPUTS.trainable);
  });
});

/** Products W·c: of a weight [out, in] with a column. */
const prompts = (nodes: readonly Node[]): Node[] =>
  nodes.filter(({ op, inputs: [w, c] }) => op === "MatMul" && w?.data && c?.type.shape[1] === 1);

test("W·C is computed only where C is drawn", () => {
  const only = (forms: Partial<Structure>) => {
    const genome = new Map(
      model.layers.map(({ name }, i) => [name, { ...NO_CHANGE, E: "vector", ...(i === 2 && forms) } as const]),
    );
    const adapted = fixedModel(model, createSpace(model.layers), genome, rngStream(0, "prompts"));
    return operators(adaptedGraph(model, { layout: adapted.layout, head: "frozen" }));
  };
  expect(prompts(only({ C: "vector" }))).toHaveLength(1);
  expect(prompts(only({}))).toHaveLength(0);

  const net = supernet(model, createSpace(model.layers), rngStream(0, "prompts"));
  const nodes = operators(adaptedGraph(model, { layout: net.layout, head: "frozen" }));
  expect(prompts(nodes)).toHaveLength(0);
  const branches = (name: string): Graph[] =>
    nodes.filter(({ op }) => op === "If").map((node) => new AttributeReader(node.attributes, node.name).graph(name));
  expect(branches("then_branch").flatMap((branch) => prompts(branch.nodes))).toHaveLength(model.layers.length);
  expect(branches("else_branch").flatMap((branch) => prompts(branch.nodes))).toHaveLength(0);
  expect(nodes.flatMap(subgraphsOf)).toHaveLength(2 * 2 * model.layers.length);
});

test("layers are replaced by their names, the others stay", () => {
  const seen: string[] = [];
  const graph = training("lora", ["*.attn.*"], {
    gradients: false,
    observe: (_, layer, input, output) => {
      const { in: width, out } = model.layers.find(({ name }) => name === layer)!;
      expect([input.type.shape.at(-1), output.type.shape.at(-1)]).toEqual([width, out]);
      seen.push(layer);
    },
  });
  const adapted = model.layers.map(({ name }) => name).filter((name) => name.includes(".attn."));
  expect(seen).toEqual(adapted);
  const scopes = new Set(graph.nodes.flatMap(({ name }) => /^glora\(([^)]*)\)/.exec(name)?.[1] ?? []));
  expect([...scopes]).toEqual(adapted);
  const left = graph.nodes
    .filter(({ op }) => op === "Linear")
    .map(({ attributes, name }) => new AttributeReader(attributes, name).string("layer"));
  expect(left.filter((layer) => layer.startsWith("blocks."))).toEqual(
    model.layers.map(({ name }) => name).filter((name) => !name.includes(".attn.")),
  );
});

describe("activations that are computed again", () => {
  const rng = rngStream(3, "recomputation");
  const net = trained(supernet(model, createSpace(model.layers, { ranks: [2] }), rng), rng);
  const options = { layout: net.layout, head: "trainable", loss, gradients: true, dropPath: true } as const;
  const [kept, again] = [adaptedGraph(model, options), adaptedGraph(model, { ...options, recompute: true })];

  test("are the same numbers: loss and gradients are equal to the bit", async () => {
    const masks = float32(normal(4 * 4, rng), 4, 4);
    const feeds = {
      ...examples(4, rng),
      ...trainableFeeds(net, largestGenome(net.space)),
      [INPUTS.dropPath]: masks,
    };
    const found = await run(again, feeds);
    expect(found).toEqual(await run(kept, feeds));
    expect(largest(found["gradients"]!)).toBeGreaterThan(0);
  });

  test("leave to the backward pass only what joins two blocks", () => {
    const heldIn = (graph: Graph, forward: number): number => {
      const owner = new Map(graph.nodes.slice(0, forward).flatMap((n) => n.outputs.map((y) => [y, n.block])));
      const read = new Set(graph.nodes.slice(forward).flatMap(dependenciesOf));
      return [...read].filter((v) => v && owner.get(v) !== undefined).length;
    };
    const forward = adaptedGraph(model, { ...options, gradients: false }).nodes.length;
    // Each of the two blocks gives one value on.
    expect(heldIn(again, forward)).toBeLessThanOrEqual(2);
    expect(heldIn(kept, forward)).toBeGreaterThan(20);
  });
});

test("outputs and inputs are those that are asked for", () => {
  const namesOf = (o: AdaptedGraphOptions): [string[], string[]] => {
    const { inputs, outputs } = adaptedGraph(model, o);
    return [inputs.map(({ name }) => name), outputs.map(({ name }) => name)];
  };
  expect(namesOf({ head: "none" })).toEqual([["pixel_values"], ["features"]]);
  expect(namesOf({ head: "frozen" })).toEqual([["pixel_values"], ["logits"]]);
  expect(namesOf({ head: "trainable", loss, gradients: true, dropPath: true })).toEqual([
    ["pixel_values", "trainable", "drop_path", "labels", "row_weights"],
    ["logits", "loss", "gradients"],
  ]);
  expect(namesOf({ head: "frozen", loss: { kind: "mse" }, weightGradients: (name) => name === "norm.bias" })).toEqual([
    ["pixel_values", "targets", "row_weights"],
    ["logits", "loss", "grad.norm.bias"],
  ]);
});

// ---- drop-path

describe("drop-path", () => {
  const rng = rngStream(2, "drop-path");
  const data = examples(3, rng);
  const mask = (change: (row: number, example: number) => number): Record<string, Tensor> => ({
    [INPUTS.dropPath]: float32(
      Float32Array.from({ length: 4 * 3 }, (_, k) => change(Math.floor(k / 3), k % 3)),
      4,
      3,
    ),
  });
  const dropping = adaptedGraph(model, { head: "frozen", dropPath: true });

  test("a mask of ones changes nothing, to the bit", async () => {
    const plain = await run(adaptedGraph(model, { head: "frozen" }), data);
    expect(await run(dropping, { ...data, ...mask(() => 1) })).toEqual(plain);
  });

  // Row 2i is the attention of block i, row 2i + 1 its MLP: a factor there is one on the branch's last layer, W and b.
  test.each(model.layers.filter(({ name }) => /proj|fc2/.test(name)).map(({ name }, row) => ({ name, row })))(
    "row $row is the branch that ends with $name, for each example apart",
    async ({ name, row }) => {
      const factors = [0, 1, 1.25];
      const { logits } = await run(dropping, { ...data, ...mask((r, example) => (r === row ? factors[example]! : 1)) });
      const genome = new Map([[name, { ...NO_CHANGE, A: "scalar", D: "scalar" } as const]]);
      const space = createSpace(model.layers, { layers: [name] });
      for (const [example, factor] of factors.entries()) {
        const adapted = fixedModel(model, space, genome, rng);
        adapted.parameters.fill(factor - 1, 0, adapted.headOffset);
        const graph = adaptedGraph(model, { layout: adapted.layout, head: "frozen" });
        const packed = (trainableFeeds(adapted)[INPUTS.trainable]!.data as Float32Array).slice(0, adapted.layout.size);
        const scaled = await run(graph, { ...data, [INPUTS.trainable]: float32(packed, packed.length) });
        const rows = (values: Float32Array): Float32Array => values.slice(3 * example, 3 * example + 3);
        expect(distance(rows(logits!), rows(scaled["logits"]!))).toBeLessThan(1e-5);
      }
      const { logits: kept } = await run(dropping, { ...data, ...mask(() => 1) });
      expect(distance(logits!.slice(0, 3), kept!.slice(0, 3))).toBeGreaterThan(1e-3);
    },
  );
});

// ---- sizes of a batch

test("one session serves every batch, the empty one included", async () => {
  const rng = rngStream(3, "batches");
  const space = createSpace(model.layers, { ranks: [2] });
  const net = trained(supernet(model, space, rng), rng);
  const trainable = trainableFeeds(net, drawGenome(space, rng));
  const session = await runtime.open(
    adaptedGraph(model, { layout: net.layout, head: "trainable", loss, gradients: true, dropPath: true }),
  );
  const whole = examples(3, rng);
  const batch = async (from: number, to: number) => {
    const part = ({ dtype, shape, data }: Tensor): Tensor => {
      const each = data.length / shape[0]!;
      return { dtype, shape: [to - from, ...shape.slice(1)], data: data.slice(from * each, to * each) } as Tensor;
    };
    const parts = Object.fromEntries(Object.entries(whole).map(([name, tensor]) => [name, part(tensor)]));
    const masks = float32(new Float32Array(4 * (to - from)).fill(1), 4, to - from);
    const found = await session.run({ ...parts, ...trainable, [INPUTS.dropPath]: masks });
    return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, data as Float32Array]));
  };
  const [all, first, none, rest] = [await batch(0, 3), await batch(0, 1), await batch(1, 1), await batch(1, 3)];
  expect(distance(Float32Array.of(...first["logits"]!, ...rest["logits"]!), all["logits"]!)).toBeLessThan(1e-5);
  const sum = all["gradients"]!.map(
    (_, i) => first["gradients"]![i]! + none["gradients"]![i]! + rest["gradients"]![i]!,
  );
  // Sums over examples, in another order.
  expect(distance(sum, all["gradients"]!)).toBeLessThan(1e-5);
  expect(largest(none["gradients"]!)).toBe(0);
  expect(none["logits"]).toHaveLength(0);
});

// ---- real activations

test("adapted is merged on real activations, in every layer of the embedded model", async () => {
  const micro = await openModel("models/vit-micro");
  const rng = rngStream(4, "activations");
  const space = createSpace(micro.layers, { ranks: [1, 4, 8] });
  const genome = drawGenome(space, rng);
  const adapted = trained(fixedModel(micro, space, genome, rng), rng, 0.05);
  const seen = new Map<string, { input: Value; output: Value }>();
  const graph = adaptedGraph(micro, {
    layout: adapted.layout,
    head: "trainable",
    observe: (g, layer, input, output) => {
      g.output(`${layer} in`, input);
      g.output(`${layer} out`, output);
      seen.set(layer, { input, output });
    },
  });
  expect([...seen.keys()]).toEqual(micro.layers.map(({ name }) => name));

  // The handwritten digits that come with the package, as the model wants its images.
  const sheet = sharp(`${root}data/digits/test.png`).extract({ left: 0, top: 0, width: 28, height: 4 * 28 });
  const pixels = await sheet
    .resize(32, 4 * 32, { fit: "fill" })
    .toColourspace("srgb")
    .removeAlpha()
    .raw()
    .toBuffer();
  const plane = 32 * 32;
  const images = Float32Array.from({ length: 4 * 3 * plane }, (_, k) => {
    const [image, channel, i] = [Math.floor(k / (3 * plane)), Math.floor(k / plane) % 3, k % plane];
    return (pixels[(image * plane + i) * 3 + channel]! / 255 - 0.45) / 0.225;
  });
  const found = await run(graph, { pixel_values: float32(images, 4, 3, 32, 32), ...trainableFeeds(adapted) });

  for (const layer of micro.layers) {
    const { name, in: width, out } = layer;
    const frozen = {
      W: await readWeight(micro.weights.get(`${name}.weight`)!),
      b: await readWeight(micro.weights.get(`${name}.bias`)!),
    };
    const merged = mergeLinear(layer, frozen, genome.get(name)!, adapted.parameters, adapted.table);
    const g = createBuilder();
    const weight = (key: string, values: Float32Array, ...shape: number[]): Value =>
      g.initializer(key, shape, inlineFloat32(values, shape));
    const x = g.input("x", "float32", ["rows", width]);
    g.output("merged", g.linear(x, weight("W", merged.W, out, width), weight("b", merged.b!, out)));
    g.output("base", g.linear(x, weight("frozen", frozen.W, out, width), weight("bias", frozen.b, out)));
    const input = found[`${name} in`]!;
    const results = await run(g.graph, { x: float32(input, input.length / width, width) });
    expect(distance(found[`${name} out`]!, results["merged"]!), name).toBeLessThan(1e-5);
    const changed = Object.values(genome.get(name)!).some((form) => form !== "none");
    if (changed) expect(distance(results["merged"]!, results["base"]!), name).toBeGreaterThan(1e-4);
  }
});
