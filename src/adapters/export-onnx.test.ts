import { readdir, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { env, type ImageClassificationPipeline, pipeline, RawImage } from "@huggingface/transformers";
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { memorySource } from "../formats/source.js";
import { decodeModel } from "../ir/codec.js";
import { formatShape } from "../ir/dim.js";
import { type Graph, type Node, subgraphsOf } from "../ir/graph.js";
import { ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { adaptedGraph } from "./adapted-graph.js";
import type { MergeOptions } from "./export.js";
import { mergeModel } from "./export.node.js";
import { adapted, expected, type Library, openBase, readJsonFile, scratch } from "./merge.fixtures.js";
import { logitsOf, relativeDifference } from "./merge-model.js";

// No test reaches for the network.
env.allowRemoteModels = false;
env.localModelPath = scratch;

let count = 0;

/** The fixture merged, its ONNX file, and the logits that the merged folder has by itself. */
async function exported(library: Library, o: Partial<MergeOptions> = {}) {
  const out = join(scratch, `onnx-${count++}`);
  const { inputs } = await expected(library);
  const { onnxFolder } = await mergeModel(await adapted(library), out, { inputs, ...o });
  const model = await openBase(out);
  const { dims, data } = { dims: inputs["pixel_values"]!.shape, data: inputs["pixel_values"]!.data as Float32Array };
  const logits = await logitsOf(model, adaptedGraph(model, { head: "frozen" }), inputs);
  return { model, folder: onnxFolder, file: join(onnxFolder, "onnx", "model.onnx"), dims, data, logits };
}

const decoded = async (file: string): Promise<Graph> =>
  decodeModel(new Uint8Array(await readFile(file)), inferWith(ops), (name) => memorySource(name, new Uint8Array()));

/** Another order of float32 sums, and fused nodes; measured 4e-7. */
const CLOSE = 5e-6;

const types = [
  { library: "timm", dtype: "F32" },
  { library: "timm", dtype: "BF16" },
  { library: "transformers", dtype: "F16" },
] as const;

describe.each(types)("model.onnx of $library, $dtype", async ({ library, dtype }) => {
  const { file, dims, data, logits } = await exported(library, { dtype });

  test("has ONNX's own operators alone, and the names and shapes that transformers.js asks for", async () => {
    const graph = await decoded(file);
    const all = (g: Graph): Node[] => g.nodes.flatMap((node) => [node, ...subgraphsOf(node).flatMap(all)]);
    expect([...new Set(all(graph).map(({ domain }) => domain))]).toEqual([""]);
    const interfaceOf = graph.inputs.map(({ name, type }) => `${name} ${type.dtype} ${formatShape(type.shape)}`);
    expect(interfaceOf).toEqual(["pixel_values float32 [batch, 3, 8, 8]"]);
    const outputs = graph.outputs.map(
      ({ name, value: { type } }) => `${name} ${type.dtype} ${formatShape(type.shape)}`,
    );
    expect(outputs).toEqual([`logits float32 [batch, ${logits.length / dims[0]!}]`]);
  });

  test("runs with all optimizations of onnxruntime-node", async () => {
    const session = await ort.InferenceSession.create(file, { graphOptimizationLevel: "all" });
    const found = await session.run({ pixel_values: new ort.Tensor("float32", data, dims) });
    expect(relativeDifference(found["logits"]!.data as Float32Array, logits)).toBeLessThan(CLOSE);
    await session.release();
  });

  test("runs with all optimizations of onnxruntime-web's wasm", async () => {
    const web = await onnxRuntimeWeb();
    const session = await web.InferenceSession.create(await readFile(file), {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
    });
    const found = await session.run({ pixel_values: new web.Tensor("float32", data, dims) });
    expect(relativeDifference(found["logits"]!.data as Float32Array, logits)).toBeLessThan(CLOSE);
    await session.release();
  });
});

/** The one that @huggingface/transformers brings along. */
async function onnxRuntimeWeb(): Promise<typeof ort> {
  const path = createRequire(import.meta.resolve("@huggingface/transformers")).resolve("onnxruntime-web");
  const web = await import(path);
  web.env.wasm.numThreads = 1;
  return web;
}

describe("weights beside the file", () => {
  test("in files of limited size, which onnxruntime finds by itself", async () => {
    // Of 16 kB in F32, the largest tensor has 2,304 bytes.
    const { folder, file, dims, data, logits } = await exported("timm", { largestOnnxFile: 7000 });
    const files = (await readdir(join(folder, "onnx"))).sort();
    expect(files).toEqual(["model.onnx", "model.onnx_data", "model.onnx_data_1", "model.onnx_data_2"]);
    for (const name of files.slice(1)) expect((await stat(join(folder, "onnx", name))).size).toBeLessThanOrEqual(7000);
    expect((await readJsonFile(folder, "config.json"))["transformers.js_config"]).toEqual({
      dtype: "fp32",
      use_external_data_format: { "model.onnx": 3 },
    });
    const session = await ort.InferenceSession.create(file);
    const found = await session.run({ pixel_values: new ort.Tensor("float32", data, dims) });
    expect(relativeDifference(found["logits"]!.data as Float32Array, logits)).toBeLessThan(CLOSE);
    await session.release();
  });

  test("a tensor that is larger than the limit has a file for itself", async () => {
    const { folder, file } = await exported("timm", { largestOnnxFile: 1 });
    const graph = await decoded(file);
    const outside = graph.initializers.filter(({ data }) => data?.kind === "external");
    expect((await readdir(join(folder, "onnx"))).length).toBe(1 + outside.length);
  });
});

describe("transformers.js", () => {
  test.each([
    { library: "timm", largestOnnxFile: 1e9 },
    { library: "timm", largestOnnxFile: 7000 },
    { library: "transformers", largestOnnxFile: 1e9 },
  ] as const)("classifies with the merged $library folder (files of $largestOnnxFile)", async (o) => {
    const { model, folder } = await exported(o.library, o);
    const id = folder.slice(scratch.length + 1);
    const classify = (await pipeline("image-classification", id)) as ImageClassificationPipeline;
    const rng = rngStream(3, "pixels");
    const pixels = Uint8Array.from({ length: 3 * 64 }, () => rng.int(256));

    // Of the model's own size nothing is resized, so that only mean and deviation are applied.
    const image = new RawImage(new Uint8ClampedArray(pixels), 8, 8, 3);
    const found = await classify.model(await classify.processor(image));
    const planes = Float32Array.from({ length: 3 * 64 }, (_, i) => {
      const [channel, at] = [Math.floor(i / 64), i % 64];
      return (pixels[3 * at + channel]! / 255 - 0.5) / 0.5;
    });
    const inputs = { pixel_values: { dtype: "float32" as const, shape: [1, 3, 8, 8], data: planes } };
    const logits = await logitsOf(model, adaptedGraph(model, { head: "frozen" }), inputs);
    expect(relativeDifference(found.logits.data, logits)).toBeLessThan(CLOSE);

    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    const answer = await classify(image, { top_k: logits.length });
    const best = logits.indexOf(Math.max(...logits));
    expect(answer[0]).toMatchObject({ label: model.labels![best] });
    const scores = new Map(answer.map(({ label, score }) => [label, score]));
    logits.forEach((logit, i) => {
      expect(scores.get(model.labels![i]!)).toBeCloseTo(Math.exp(logit) / sum, 5);
    });
    await classify.dispose();
  });
});
