import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  AutoModel,
  AutoModelForSequenceClassification,
  env,
  type PreTrainedModel,
  Tensor as TransformersTensor,
} from "@huggingface/transformers";
import { afterAll, describe, expect, test } from "vitest";
import { adaptedGraph, INPUTS } from "../../adapters/adapted-graph.js";
import { fixedModel, trainableFeeds } from "../../adapters/adapted-model.js";
import { writeOnnx } from "../../adapters/export-onnx.js";
import { mergedTensors, withWeights } from "../../adapters/merge-model.js";
import { runModel } from "../../adapters/run-model.js";
import { createSpace, drawGenome } from "../../adapters/space.js";
import { type Rng, rngStream } from "../../base/rng.js";
import type { Tensor } from "../../base/tensor.js";
import { openFile } from "../../formats/file.node.js";
import { openFolder, openWritableFolder } from "../../formats/folder.node.js";
import { readBytes, readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { inlineFloat32 } from "../../ir/builder.js";
import type { Graph } from "../../ir/graph.js";
import { createBuilder } from "../../ops/index.js";
import { createNodeRuntime } from "../../runtime/node/node-runtime.node.js";
import { headTensors, type Model } from "../model.js";
import { openModelFolder } from "../open.js";
import { type Weight, Weights } from "../weights.js";
import { distanceBias } from "./forward.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const fixtures = fileURLToPath(new URL("../../../test/fixtures/bert/", import.meta.url));

const openModel = async (folder: string): Promise<Model> => openModelFolder(await openFolder(folder), runtime);

const float32 = (data: Float32Array, ...shape: number[]): Tensor => ({ dtype: "float32", shape, data });
const int64 = (rows: readonly (readonly number[])[]): Tensor => ({
  dtype: "int64",
  shape: [rows.length, rows[0]!.length],
  data: BigInt64Array.from(rows.flat(), BigInt),
});
const largest = (values: Float32Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const distance = (x: Float32Array, y: Float32Array): number => largest(x.map((v, i) => v - y[i]!)) / largest(y);
const valuesOf = ({ data }: Tensor): Float32Array => data as Float32Array;

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await runtime.open(graph);
  const found = await session.run(feeds);
  await session.dispose();
  return found;
}

/** The graph of the hidden states of every token. */
function servingGraph(model: Model): Graph {
  const g = createBuilder();
  model.serving!(g, new Weights(g, model.weights));
  return g.graph;
}

/** Everything that a fixture holds, by name. */
async function readReference(name: string): Promise<Map<string, Tensor>> {
  const { tensors } = await readSafetensors(await openFile(`${fixtures}${name}/reference.safetensors`));
  const all = new Map<string, Tensor>();
  for (const [key, entry] of tensors) {
    const { shape } = entry;
    const integers = async () => new BigInt64Array((await readBytes(entry)).slice().buffer);
    if (entry.dtype === "I64") all.set(key, { dtype: "int64", shape, data: await integers() });
    else all.set(key, float32(await readFloat32(entry), ...shape));
  }
  return all;
}

const given = (reference: ReadonlyMap<string, Tensor>, ...names: string[]): Record<string, Tensor> =>
  Object.fromEntries(
    ["input_ids", "attention_mask", "token_type_ids", ...names].flatMap((name) => {
      const tensor = reference.get(name);
      return tensor ? [[name, tensor]] : [];
    }),
  );

/** Of each gradient the reference holds its largest absolute value, then elements at equal steps. */
function expectGradients(found: Readonly<Record<string, Tensor>>, reference: ReadonlyMap<string, Tensor>): void {
  const samples = [...reference].filter(([name]) => name.startsWith("grad."));
  const layerOf = (name: string): string => name.replace(/\.[^.]+$/, "");
  const largestOf = new Map<string, number>();
  for (const [name, { data }] of samples)
    largestOf.set(layerOf(name), Math.max(largestOf.get(layerOf(name)) ?? 0, data[0] as number));
  for (const [name, { data }] of samples) {
    const sample = data as Float32Array;
    const gradient = valuesOf(found[name]!);
    const step = Math.ceil(gradient.length / 24);
    const own = gradient.filter((_, i) => i % step === 0);
    expect(own.length, name).toBe(sample.length - 1);
    // float32 through at most two layers; measured 2e-6 of the tensor's largest gradient. A key's bias has none in exact
    // arithmetic: what is left beside its layer's gradient is rounding, in PyTorch too.
    const tolerance = Math.max(2e-5 * sample[0]!, 1e-6 * largestOf.get(layerOf(name))!);
    expect(largest(own.map((value, i) => value - sample[i + 1]!)), name).toBeLessThan(tolerance);
    expect(Math.abs(largest(gradient) - sample[0]!), name).toBeLessThan(tolerance);
  }
}

const cases = readdirSync(fixtures, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);

test("the fixtures are there", () => {
  expect(cases).toHaveLength(12);
});

describe.each(cases)("%s", (name) => {
  test("outputs, loss and the gradient of every weight are PyTorch's", async () => {
    const model = await openModel(fixtures + name);
    const reference = await readReference(name);
    const output = model.head ? "logits" : "features";
    expect(model.head !== undefined).toBe(reference.has("logits"));
    const found = model.head
      ? await runModel(model, given(reference, "labels"), { grad: "*" })
      : await runEmbeddings(model, given(reference));
    // float32 through at most two layers; measured 8e-7.
    expect(distance(valuesOf(found[output]!), valuesOf(reference.get(output)!))).toBeLessThan(1e-5);
    const loss = reference.get("loss")!.data[0] as number;
    expect(Math.abs((found["loss"]!.data[0] as number) / loss - 1)).toBeLessThan(1e-5);
    expectGradients(found, reference);
    const nothing = Object.keys(found).filter((key) => key.startsWith("grad.") && !reference.has(key));
    for (const key of nothing) expect(largest(valuesOf(found[key]!)), key).toBe(0);
  });
});

describe.each(cases)("%s with positions", (name) => {
  test("takes those that it is given, for each text or one row for all", async () => {
    const model = await openModel(fixtures + name);
    const reference = await readReference(name);
    const output = model.head ? "logits" : "features";
    const expected = valuesOf(reference.get("positioned")!);
    const found = await runModel(model, given(reference, "position_ids"));
    expect(distance(valuesOf(found[output]!), expected)).toBeLessThan(1e-5);
    expect(distance(valuesOf(reference.get(output)!), expected)).toBeGreaterThan(1e-2); // they act

    const { shape, data } = reference.get("position_ids")!;
    const row = int64([Array.from((data as BigInt64Array).slice(0, shape[1]), Number)]);
    const shared = await runModel(model, { ...given(reference), position_ids: row });
    const width = expected.length / shape[0]!;
    expect(distance(valuesOf(shared[output]!).slice(0, width), expected.slice(0, width))).toBeLessThan(1e-5);
    expect(distance(valuesOf(shared[output]!).slice(width), expected.slice(width))).toBeGreaterThan(1e-3);
  });
});

test("a position that the table does not have is told", async () => {
  const model = await openModel(`${fixtures}bert`);
  const run = runModel(model, { input_ids: int64([[4, 5]]), position_ids: int64([[8, 9]]) });
  await expect(run).rejects.toThrow("position_ids: 9 is none of the model's, which are 0 to 8. Leave them out,");
});

/** Embeddings and their mean square as a loss, with its gradients. */
async function runEmbeddings(model: Model, inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const graph = adaptedGraph(model, { head: "none", loss: { kind: "mse" }, weightGradients: () => true });
  const texts = inputs["input_ids"]!.shape[0]!;
  const width = graph.find(INPUTS.targets)!.type.shape[1] as number;
  return run(graph, {
    ...model.feeds(inputs),
    [INPUTS.targets]: float32(new Float32Array(texts * width), texts, width),
    [INPUTS.rowWeights]: float32(new Float32Array(texts).fill(1 / texts), texts),
  });
}

describe.each(cases.filter((name) => /bare|masked/.test(name)))("%s as a base", (name) => {
  test("a new classifier is the one that transformers puts on it", async () => {
    const reference = await readReference(name);
    const outputs = reference.get("classified")!.shape[1]!;
    const labels = Array.from({ length: outputs }, (_, i) => `label ${i}`);
    const model = (await openModel(fixtures + name)).withTask({ kind: "classes", labels });
    const inputs = given(reference);
    const graph = adaptedGraph(model, { head: "trainable" });
    const bare = model.exportSpec({ addedBiases: false }).rename!;
    const head = headTensors(model.head).map((tensor) => {
      const values = reference.get(`head.${bare(tensor.name)}`)!;
      expect(values.shape).toEqual(tensor.shape);
      return valuesOf(values);
    });
    const packed = Float32Array.from(head.flatMap((values) => [...values]));
    const found = await run(graph, { ...model.feeds(inputs), [INPUTS.trainable]: float32(packed, packed.length) });
    expect(distance(valuesOf(found["logits"]!), valuesOf(reference.get("classified")!))).toBeLessThan(1e-5);
  });

  test("what transformers.js is given are the hidden states of every token", async () => {
    const reference = await readReference(name);
    const model = await openModel(fixtures + name);
    const found = await run(servingGraph(model), model.feeds(given(reference)));
    const states = reference.get("last_hidden_state")!;
    expect(found["last_hidden_state"]!.shape).toEqual(states.shape);
    expect(distance(valuesOf(found["last_hidden_state"]!), valuesOf(states))).toBeLessThan(1e-5);
  });
});

// ---- attention masks

test("the bucket of every distance is the one of MPNet's own code", async () => {
  const { first, buckets } = JSON.parse(readFileSync(`${fixtures}buckets.fixtures.json`, "utf8"));
  const tokens = 1 - first; // distances first … −first
  const g = createBuilder();
  g.input("mask", "int64", ["tokens"]);
  const table = g.initializer(
    "table",
    [32, 1],
    inlineFloat32(
      Float32Array.from({ length: 32 }, (_, i) => i),
      [32, 1],
    ),
  );
  g.output("bias", distanceBias(g, table, "tokens"));
  const mask: Tensor = { dtype: "int64", shape: [tokens], data: new BigInt64Array(tokens) };
  const bias = valuesOf((await run(g.graph, { mask }))["bias"]!);
  // The first query sees 0 … ahead, the last one … 0 back.
  expect([...bias.slice(0, tokens)]).toEqual(buckets.slice(-first));
  expect([...bias.slice(-tokens)]).toEqual(buckets.slice(0, tokens));
});

describe.each(["bert-bare", "mpnet-bare"])("%s: a mask of numbers", (name) => {
  const states = async (mask: number[], changed = 0): Promise<Float32Array[]> => {
    const model = await openModel(fixtures + name);
    const ids = [5, 6, 7, 8, 9 + changed, 10];
    const inputs = { input_ids: int64([ids]), attention_mask: int64([mask]) };
    const all = valuesOf((await run(servingGraph(model), model.feeds(inputs)))["last_hidden_state"]!);
    return ids.map((_, i) => all.slice(12 * i, 12 * i + 12));
  };

  test("tokens see those of their own number, and nothing sees padding", async () => {
    for (const [mask, seeing] of [
      [
        [1, 1, 1, 2, 2, 0],
        [3, 4, 5],
      ],
      [
        [1, 1, 1, 1, 1, 1],
        [0, 1, 2, 3, 4, 5],
      ],
      [[1, 1, 1, 1, 0, 0], [4]],
    ] as const) {
      const [before, after] = [await states([...mask]), await states([...mask], 1)];
      const moved = before.flatMap((state, i) => (distance(state, after[i]!) > 1e-3 ? [i] : []));
      const still = before.flatMap((state, i) => (distance(state, after[i]!) === 0 ? [i] : []));
      expect([moved, still]).toEqual([
        seeing,
        [0, 1, 2, 3, 4, 5].filter((i) => !(seeing as readonly number[]).includes(i)),
      ]);
    }
  });

  test("a text of nothing but padding has finite states and an embedding of zeros", async () => {
    for (const state of await states([0, 0, 0, 0, 0, 0])) expect(state.every(Number.isFinite)).toBe(true);
    const model = await openModel(fixtures + name);
    const { features } = await runModel(model, { input_ids: int64([[4, 5]]), attention_mask: int64([[0, 0]]) });
    expect(largest(valuesOf(features!))).toBe(0);
  });
});

test("what a caller leaves out: every token counts, and is of the first kind", async () => {
  const model = await openModel(`${fixtures}bert`);
  const ids = int64([
    [4, 5, 6],
    [7, 8, 9],
  ]);
  const of = (value: number) => int64([Array(3).fill(value), Array(3).fill(value)]);
  expect(model.feeds({ input_ids: ids })).toEqual({ input_ids: ids, attention_mask: of(1), token_type_ids: of(0) });
  expect(Object.keys((await openModel(`${fixtures}mpnet`)).feeds({ input_ids: ids }))).toEqual([
    "input_ids",
    "attention_mask",
  ]);
});

// ---- tasks

describe("a task", () => {
  test("changes the head, its loss and its labels, and the layers of the trunk with it", async () => {
    const model = await openModel(`${fixtures}bert-bare`);
    expect([model.head, model.labels, model.loss]).toEqual([undefined, undefined, "cosine"]);
    const names = (m: Model): string[] => m.layers.map((layer) => layer.name);
    expect(names(model)).toEqual([
      "encoder.layer.0.attention.self.query",
      "encoder.layer.0.attention.self.key",
      "encoder.layer.0.attention.self.value",
      "encoder.layer.0.attention.output.dense",
      "encoder.layer.0.intermediate.dense",
      "encoder.layer.0.output.dense",
    ]);
    const classifier = model.withTask({ kind: "classes", labels: ["a", "b"] });
    expect(classifier.head).toMatchObject({
      layers: [{ name: "classifier", in: 12, out: 2, bias: true }],
      pretrained: false,
    });
    expect([classifier.labels, classifier.loss]).toEqual([["a", "b"], "cross-entropy"]);
    // The checkpoint's pooler stands in front of it now.
    expect(names(classifier)).toEqual([...names(model), "pooler.dense"]);
    expect(model.withTask({ kind: "multi-label", labels: ["a", "b"] }).loss).toBe("binary-cross-entropy");
    expect(model.withTask({ kind: "regression", labels: ["a", "b"] }).loss).toBe("mse");
    expect(model.withTask({ kind: "classes", labels: ["a"] }).loss).toBe("mse");
  });

  test("a pooler that the checkpoint lacks is part of the new head", async () => {
    const model = (await openModel(`${fixtures}bert-masked-lm`)).withTask({ kind: "regression", labels: ["age"] });
    expect(model.head!.layers.map(({ name, out }) => [name, out])).toEqual([
      ["bert.pooler.dense", 12],
      ["classifier", 1],
    ]);
    expect(model.layers.some(({ name }) => name.includes("pooler"))).toBe(false);
  });

  test("an old head's weights are gone, whatever comes in its place", async () => {
    const model = await openModel(`${fixtures}roberta`);
    const old = [
      "classifier.dense.bias",
      "classifier.dense.weight",
      "classifier.out_proj.bias",
      "classifier.out_proj.weight",
    ];
    for (const task of [{ kind: "classes", labels: ["a", "b", "c"] }, { kind: "similarity" }] as const) {
      const fresh = model.withTask(task);
      expect([...model.weights.keys()].filter((name) => !fresh.weights.has(name)).sort()).toEqual(old);
    }
    expect(model.withTask({ kind: "similarity" })).toMatchObject({
      head: undefined,
      labels: undefined,
      loss: "cosine",
    });
  });

  test("language is none of an encoder's", async () => {
    const model = await openModel(`${fixtures}distilbert`);
    expect(() => model.withTask({ kind: "language" })).toThrow(
      expect.objectContaining({
        code: "MODEL",
        message: expect.stringContaining("an encoder does not go on with a text"),
      }),
    );
  });
});

test("what data must know of a model", async () => {
  expect((await openModel(`${fixtures}bert`)).input).toMatchObject({
    kind: "text",
    attention: "bidirectional",
    maxTokens: 9,
    vocabulary: 21,
    padId: 0,
    tokenTypes: true,
  });
  // Positions begin behind the padding index: 9 rows, of which those up to it are no token's.
  expect((await openModel(`${fixtures}xlm-roberta`)).input).toMatchObject({
    maxTokens: 5,
    padId: 3,
    tokenTypes: false,
  });
  expect((await openModel(`${fixtures}mpnet`)).input).toMatchObject({ maxTokens: 142, padId: 4, tokenTypes: false });
});

// ---- adapters

const normal = (length: number, rng: Rng): Float32Array => Float32Array.from({ length }, () => rng.normal());

describe.each(["bert", "distilbert", "xlm-roberta", "mpnet", "roberta-bare"])("%s with an adapter", (name) => {
  test("is the plain model of the merged weights", async () => {
    const model = await openModel(fixtures + name);
    const reference = await readReference(name);
    const feeds = model.feeds(given(reference));
    const rng = rngStream(1, name);
    const space = createSpace(model.layers, { ranks: [1, 3] });
    const adapted = fixedModel(model, space, drawGenome(space, rng), rng);
    adapted.parameters.set(normal(adapted.parameters.length, rng).map((v) => 0.2 * v));
    const head = model.head ? "trainable" : "none";
    const output = model.head ? "logits" : "features";
    const graph = adaptedGraph(model, { layout: adapted.layout, head });
    const found = valuesOf((await run(graph, { ...feeds, ...trainableFeeds(adapted) }))[output]!);

    const merged = new Map<string, Weight>();
    for (const { name: tensor, shape, values } of mergedTensors(adapted))
      merged.set(tensor, { shape, data: inlineFloat32(await values(), shape) });
    const plain = withWeights(model, merged);
    const again = valuesOf((await run(adaptedGraph(plain, { head: model.head ? "frozen" : "none" }), feeds))[output]!);
    // float32 in another order of sums; measured 1e-6.
    expect(distance(again, found)).toBeLessThan(2e-5);
    expect(distance(found, valuesOf(reference.get(output)!))).toBeGreaterThan(1e-2);
  });

  test("computes its layers again where memory is short, to the bit, and takes any batch", async () => {
    const model = await openModel(fixtures + name);
    const reference = await readReference(name);
    const rng = rngStream(2, name);
    const space = createSpace(model.layers, { ranks: [2] });
    const adapted = fixedModel(model, space, drawGenome(space, rng), rng);
    adapted.parameters.set(normal(adapted.parameters.length, rng).map((v) => 0.2 * v));
    const kind = model.head ? ("cross-entropy" as const) : ("mse" as const);
    const options = {
      layout: adapted.layout,
      head: model.head ? ("trainable" as const) : ("none" as const),
      loss: { kind },
      gradients: true,
      dropPath: true,
    };
    const feedsOf = (texts: number): Record<string, Tensor> => {
      const cut = (tensor: Tensor): Tensor => {
        const length = texts * tensor.shape[1]!;
        return { ...tensor, shape: [texts, tensor.shape[1]!], data: tensor.data.slice(0, length) };
      };
      const inputs = Object.entries(given(reference)).map(([input, tensor]) => [input, cut(tensor)]);
      const compared: Record<string, Tensor> = model.head
        ? { [INPUTS.labels]: { dtype: "int32", shape: [texts], data: new Int32Array(texts) } }
        : { [INPUTS.targets]: float32(new Float32Array(12 * texts), texts, 12) };
      return {
        ...model.feeds(Object.fromEntries(inputs)),
        ...trainableFeeds(adapted),
        ...compared,
        [INPUTS.dropPath]: float32(
          new Float32Array(model.residualBranches * texts).fill(1),
          model.residualBranches,
          texts,
        ),
        [INPUTS.rowWeights]: float32(new Float32Array(texts).fill(1), texts),
      };
    };
    const found = await run(adaptedGraph(model, options), feedsOf(2));
    expect(await run(adaptedGraph(model, { ...options, recompute: true }), feedsOf(2))).toEqual(found);
    expect(largest(valuesOf(found["gradients"]!))).toBeGreaterThan(0);
    const none = await run(adaptedGraph(model, options), feedsOf(0));
    expect(largest(valuesOf(none["gradients"]!))).toBe(0);
  });
});

describe("drop-path", () => {
  const name = "distilbert"; // two layers
  const branches = ["attention.out_lin", "ffn.lin2"];

  test.each([0, 1, 2, 3])("row %d is one branch of a layer", async (row) => {
    const model = await openModel(fixtures + name);
    const feeds = model.feeds(given(await readReference(name)));
    const masks = (factor: number) =>
      float32(
        Float32Array.from({ length: 8 }, (_, i) => (Math.floor(i / 2) === row ? factor : 1)),
        4,
        2,
      );
    const dropping = adaptedGraph(model, { head: "frozen", dropPath: true });
    const dropped = valuesOf((await run(dropping, { ...feeds, [INPUTS.dropPath]: masks(0) }))["logits"]!);
    const layer = `distilbert.transformer.layer.${Math.floor(row / 2)}.${branches[row % 2]}`;
    const zero = (tensor: string): [string, Weight] => {
      const { shape } = model.weights.get(tensor)!;
      return [tensor, { shape, data: inlineFloat32(new Float32Array(shape.reduce((a, n) => a * n)), shape) }];
    };
    const without = withWeights(model, new Map([zero(`${layer}.weight`), zero(`${layer}.bias`)]));
    const expected = valuesOf((await run(adaptedGraph(without, { head: "frozen" }), feeds))["logits"]!);
    expect(distance(dropped, expected)).toBeLessThan(1e-6);
    const kept = valuesOf((await run(dropping, { ...feeds, [INPUTS.dropPath]: masks(1) }))["logits"]!);
    expect(distance(kept, expected)).toBeGreaterThan(1e-3);
  });
});

test("only the class token passes the last layer where it is pooled", async () => {
  const tokensOf = async (name: string) => {
    const model = await openModel(fixtures + name);
    const { nodes } = adaptedGraph(model, { head: model.head ? "frozen" : "none" });
    return nodes.filter(({ op }) => op === "Linear").map(({ inputs }) => inputs[0]!.type.shape[1]);
  };
  // query, key, value, projection, fc1, fc2; behind two layers the pooler's and the classifier's width.
  const all = Array<string>(6).fill("tokens");
  expect(await tokensOf("bert")).toEqual([...all, 1, "tokens", "tokens", 1, 1, 1, 12, 12]);
  expect(await tokensOf("bert-bare")).toEqual(all);
});

// ---- transformers.js

const scratch = await mkdtemp(join(tmpdir(), "glora-bert-"));
afterAll(() => rm(scratch, { recursive: true }));
env.allowRemoteModels = false;
env.localModelPath = scratch;

describe.each(cases)("%s in transformers.js", (name) => {
  test("gives PyTorch's outputs from our ONNX file", async () => {
    const model = await openModel(fixtures + name);
    const folder = join(scratch, name);
    await mkdir(folder);
    const loading = await writeOnnx(model, await openWritableFolder(folder));
    const { config } = model.exportSpec({ addedBiases: false });
    await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, "transformers.js_config": loading }));
    const opened: PreTrainedModel = await (model.head ? AutoModelForSequenceClassification : AutoModel).from_pretrained(
      name,
    );
    const reference = await readReference(name);
    const inputs = Object.entries(given(reference)).map(([input, { data, shape }]) => [
      input,
      new TransformersTensor("int64", data as BigInt64Array, [...shape]),
    ]);
    const found = await opened(Object.fromEntries(inputs));
    await opened.dispose();
    const output = model.head ? "logits" : "last_hidden_state";
    expect(Object.keys(found)).toEqual([output]);
    expect(found[output].dims).toEqual(reference.get(output)!.shape);
    expect(distance(found[output].data, valuesOf(reference.get(output)!))).toBeLessThan(1e-5);
  });
});

// ---- a real model

const minilm = process.env["GLORA_MINILM"];

test.skipIf(!minilm)(
  `embeddings of all-MiniLM-L6-v2 are transformers'${minilm ? "" : " (skipped: GLORA_MINILM names no folder)"}`,
  async () => {
    const { input_ids, attention_mask, every, embeddings } = JSON.parse(
      readFileSync(`${fixtures}minilm.fixtures.json`, "utf8"),
    );
    const model = await openModel(minilm!);
    expect(model.layers).toHaveLength(36);
    const inputs = { input_ids: int64(input_ids), attention_mask: int64(attention_mask) };
    const features = valuesOf((await runModel(model, inputs))["features"]!);
    const found = features.filter((_, i) => (i % 384) % every === 0);
    // float32 through six layers; measured 1e-6.
    expect(distance(found, Float32Array.from(embeddings.flat()))).toBeLessThan(1e-5);
  },
);
