import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { adaptedGraph, INPUTS } from "../../adapters/adapted-graph.js";
import { runModel } from "../../adapters/run-model.js";
import type { Tensor } from "../../base/tensor.js";
import { openCheckpoint } from "../../formats/checkpoint.js";
import { openFile } from "../../formats/file.node.js";
import { readJson } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import { readBytes, readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { createBuilder } from "../../ops/index.js";
import { createNodeRuntime } from "../../runtime/node/node-runtime.node.js";
import { headTensors, type Model } from "../model.js";
import { Weights } from "../weights.js";
import { openBert } from "./bert.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const fixtures = fileURLToPath(new URL("../../../test/fixtures/bert/", import.meta.url));

async function openModel(path: string): Promise<Model> {
  const folder = await openFolder(path);
  const rawConfig = (await readJson(folder, "config.json")) as Record<string, unknown>;
  const tokenizer = () => Promise.reject(new Error("There is no tokenizer."));
  return openBert({
    folder,
    checkpoint: await openCheckpoint(folder),
    rawConfig,
    file: "config.json",
    runtime,
    tokenizer,
  });
}

const float32 = (data: Float32Array, ...shape: number[]): Tensor => ({ dtype: "float32", shape, data });
const int64 = (rows: readonly (readonly number[])[]): Tensor => ({
  dtype: "int64",
  shape: [rows.length, rows[0]!.length],
  data: BigInt64Array.from(rows.flat(), BigInt),
});
const largest = (values: Float32Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const distance = (x: Float32Array, y: Float32Array): number => largest(x.map((v, i) => v - y[i]!)) / largest(y);
const valuesOf = ({ data }: Tensor): Float32Array => data as Float32Array;

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

/** Embeddings and their mean square as a loss, with its gradients. */
async function runEmbeddings(model: Model, inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const graph = adaptedGraph(model, { head: "none", loss: { kind: "mse" }, weightGradients: () => true });
  const session = await runtime.open(graph);
  const texts = inputs["input_ids"]!.shape[0]!;
  const width = graph.find(INPUTS.targets)!.type.shape[1] as number;
  const found = await session.run({
    ...model.feeds(inputs),
    [INPUTS.targets]: float32(new Float32Array(texts * width), texts, width),
    [INPUTS.rowWeights]: float32(new Float32Array(texts).fill(1 / texts), texts),
  });
  await session.dispose();
  return found;
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
    const session = await runtime.open(graph);
    const found = await session.run({ ...model.feeds(inputs), [INPUTS.trainable]: float32(packed, packed.length) });
    await session.dispose();
    expect(distance(valuesOf(found["logits"]!), valuesOf(reference.get("classified")!))).toBeLessThan(1e-5);
  });

  test("what transformers.js is given are the hidden states of every token", async () => {
    const reference = await readReference(name);
    const model = await openModel(fixtures + name);
    const g = createBuilder();
    model.serving!(g, new Weights(g, model.weights));
    const session = await runtime.open(g.graph);
    const found = await session.run(model.feeds(given(reference)));
    await session.dispose();
    const states = reference.get("last_hidden_state")!;
    expect(found["last_hidden_state"]!.shape).toEqual(states.shape);
    expect(distance(valuesOf(found["last_hidden_state"]!), valuesOf(states))).toBeLessThan(1e-5);
  });
});
