import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { adaptedGraph, INPUTS } from "../adapters/adapted-graph.js";
import { fixedModel, supernet, trainableFeeds } from "../adapters/adapted-model.js";
import { createSpace, largestGenome } from "../adapters/space.js";
import { gradientsOf } from "../autodiff/backward.js";
import { rngStream } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { openFolder } from "../formats/folder.node.js";
import type { Builder } from "../ir/builder.js";
import { inlineFloat32 } from "../ir/builder.js";
import { dependenciesOf, type Graph, type Node, type Value } from "../ir/graph.js";
import type { Model } from "../models/model.js";
import { openModelFolder } from "../models/open.js";
import { createBuilder } from "../ops/index.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import { peakBytes } from "./execution.fixtures.js";
import { lowerFor } from "./lower.js";
import { recomputeBlocks, recomputeCheap } from "./recompute.js";

const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

const isCopy = ({ name }: Node): boolean => name.endsWith("@again");
/** Values of the forward pass that later nodes read. */
const keptBy = (graph: Graph, forward: number): Set<Value> => {
  const made = new Set(graph.nodes.slice(0, forward).flatMap((node) => node.outputs));
  const read = graph.nodes.slice(forward).flatMap(dependenciesOf);
  return new Set(read.filter((v): v is Value => v !== undefined && made.has(v)));
};

// ---- which values

/** The gradient of the mean square of what `write` returns; x [rows, 4] and w [4, 4] are trained. */
function written(write: (g: Builder, x: Value, w: Value, frozen: () => Value) => Value) {
  const g = createBuilder();
  const [x, w] = [g.input("x", "float32", ["rows", 4]), g.input("w", "float32", [4, 4])];
  let count = 0;
  const frozen = (): Value => g.initializer(`frozen ${count++}`, [4, 4], inlineFloat32(new Float32Array(16), [4, 4]));
  const y = write(g, x, w, frozen);
  const loss = g.reduceMean(g.mul(y, y), [0, 1]);
  const forward = g.graph.nodes.length;
  gradientsOf(g, loss, [x, w]).forEach((gradient, i) => {
    g.output(`gradient ${i}`, gradient);
  });
  return { graph: g.graph, forward };
}
/** What is computed again, in order: each node's operator and the names of its inputs. */
const copiesOf = ({ graph, forward }: ReturnType<typeof written>): (readonly [string, ...string[]])[] =>
  recomputeCheap(graph, forward)
    .nodes.filter(isCopy)
    .map(({ op, inputs }) => [op, ...inputs.map((v) => v!.name)] as const);

test("cheap nodes are computed again from the nearest values that the backward pass reads anyway", () => {
  let [sum, left] = ["", ""];
  const step = written((g, x, w, frozen) => {
    const out = g.block(() => {
      // Nothing reads the two products: were their sum computed again, two values were kept in the place of one.
      const s = g.add(g.linear(x, frozen()), g.linear(x, frozen()));
      sum = s.name;
      return g.add(x, g.linear(g.gelu(s), w)); // leaves the block: stays, though an Add
    });
    left = out.name;
    return g.block(() => g.linear(g.gelu(g.mul(out, out)), w));
  });
  expect(copiesOf(step)).toEqual([
    ["Mul", left, left],
    ["Gelu", expect.stringMatching(/^Mul.*@again$/)],
    ["Gelu", sum],
  ]);
});

test("what is no part of a block, an output of the graph, a vector or one number a row stays", () => {
  const gelu = (g: Builder, y: Value, w: Value): Value => g.linear(g.gelu(y), w);
  expect(copiesOf(written((g, x, w) => g.block(() => gelu(g, x, w))))).toEqual([["Gelu", "x"]]);
  expect(copiesOf(written((g, x, w) => gelu(g, x, w)))).toEqual([]);
  const seen = written((g, x, w) =>
    g.block(() => {
      const y = g.gelu(x);
      g.output("seen", y);
      return g.linear(y, w);
    }),
  );
  expect(copiesOf(seen)).toEqual([]);
  const small = (shape: (g: Builder, x: Value) => Value) =>
    written((g, x) => g.block(() => g.mul(x, g.gelu(shape(g, x)))));
  expect(copiesOf(small((g, x) => g.reduceSum(x, [1], true)))).toEqual([]); // [rows, 1]
  expect(copiesOf(small((g, x) => g.reduceSum(x, [0])))).toEqual([]); // [4]
});

test.each([
  [32, ["Gemm"]],
  [33, []],
])("a product of inner size %d is computed again: %j", (inner, expected) => {
  const step = written((g, x, w) => {
    const wide = g.initializer("wide", [4, inner], inlineFloat32(new Float32Array(4 * inner), [4, inner]));
    const [thin, factor] = [g.gemm(x, wide), g.gemm(w, wide)]; // [rows, inner], [4, inner]
    return g.block(() => {
      const y = g.gemm(thin, factor, undefined, { transB: true });
      return g.add(x, g.mul(y, y));
    });
  });
  expect(copiesOf(step).map(([op]) => op)).toEqual(expected);
});

// ---- whole models

const rng = rngStream(1, "recompute");
const random = (length: number): Float32Array => Float32Array.from({ length }, () => 0.3 * rng.normal());
const float32 = (...shape: number[]): Tensor => ({
  dtype: "float32",
  shape,
  data: random(shape.reduce((a, b) => a * b)),
});
const ids = (batch: number, tokens: number): Tensor => ({
  dtype: "int64",
  shape: [batch, tokens],
  data: BigInt64Array.from({ length: batch * tokens }, () => BigInt(2 + rng.int(18))),
});

const BATCH = 3;
/** Each with two blocks. */
const models = {
  "vit/timm-token": { pixel_values: float32(BATCH, 3, 16, 16) },
  "llama/qwen2-tied": { input_ids: ids(BATCH, 5) },
  "bert/bert": { input_ids: ids(BATCH, 5) },
};

/** All supports in every layer, B and (where it is low-rank) A of rank 2; with drop-path, and random numbers throughout. */
function stepOf(model: Model, kind: "supernet" | "low-rank" | "vector", inputs: Record<string, Tensor>) {
  const space = createSpace(model.layers, { ranks: [2] });
  const largest = largestGenome(space);
  const vectors = [...largest].map(([name, genes]) => [name, { ...genes, A: "vector" } as const] as const);
  const adapted =
    kind === "supernet"
      ? supernet(model, space, rng)
      : fixedModel(model, space, kind === "vector" ? new Map(vectors) : largest, rng);
  adapted.parameters.set(random(adapted.parameters.length));
  const head = model.rows === "tokens" ? ("frozen" as const) : ("trainable" as const);
  const loss = { kind: "cross-entropy" } as const;
  const graph = adaptedGraph(model, { layout: adapted.layout, head, loss, dropPath: true });
  const forward = graph.nodes.length;
  const g = createBuilder(graph);
  const value = graph.outputs.find(({ name }) => name === "loss")!.value;
  g.output("gradients", gradientsOf(g, value, [graph.find(INPUTS.trainable)!])[0]!);
  const rows = model.rows === "tokens" ? inputs["input_ids"]!.data.length : BATCH;
  const feeds: Record<string, Tensor> = {
    ...model.feeds(inputs),
    ...trainableFeeds(adapted, largest),
    [INPUTS.dropPath]: float32(model.residualBranches, BATCH),
    [INPUTS.labels]: { dtype: "int32", shape: [rows], data: Int32Array.from({ length: rows }, (_, i) => i % 2) },
    [INPUTS.rowWeights]: float32(rows),
  };
  return { graph, forward, feeds };
}

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await runtime.open(graph);
  const given = Object.fromEntries(graph.inputs.map(({ name }) => [name, feeds[name]!]));
  const found = await session.run(given);
  await session.dispose();
  return found;
}

describe.each(Object.entries(models))("%s", async (folder, inputs) => {
  const path = fileURLToPath(new URL(`../../test/fixtures/${folder}`, import.meta.url));
  const opened = await openModelFolder(await openFolder(path), runtime);
  const model = await opened.fitInputs(inputs);

  test.each(["supernet", "low-rank", "vector"] as const)(
    "%s: loss and gradients are the same to the bit",
    async (kind) => {
      const { graph, forward, feeds } = stepOf(model, kind, inputs);
      const found = await run(graph, feeds);
      expect((found["gradients"]!.data as Float32Array).every((v) => Number.isFinite(v))).toBe(true);
      expect((found["gradients"]!.data as Float32Array).some((v) => v !== 0)).toBe(true);
      for (const pass of [recomputeCheap, recomputeBlocks]) {
        const again = pass(graph, forward);
        expect(again.nodes.filter(isCopy).length, pass.name).toBeGreaterThan(10);
        expect(await run(again, feeds), pass.name).toEqual(found);
      }
    },
  );

  test.each(["low-rank", "vector"] as const)(
    "%s: what is kept is some of what was kept, and no block waits for another",
    (kind) => {
      const { graph, forward } = stepOf(model, kind, inputs);
      const again = recomputeCheap(graph, forward);
      const [before, after] = [keptBy(graph, forward), keptBy(again, forward)];
      const large = [...after].filter(({ type: { shape } }) => shape.length > 1 && shape.at(-1) !== 1);
      for (const value of large) expect(before, value.name).toContain(value);
      expect(large.length).toBeLessThan(0.75 * before.size);

      const blockOf = new Map(again.nodes.filter(isCopy).flatMap((node) => node.outputs.map((y) => [y, node.block])));
      for (const { name, block, inputs } of again.nodes.filter(isCopy))
        for (const v of inputs) if (v && blockOf.has(v)) expect(blockOf.get(v), name).toBe(block);
      expect(new Set(blockOf.values()).size).toBe(2);
    },
  );

  test.each(["low-rank", "vector"] as const)("%s: fewer bytes live at once", (kind) => {
    const { graph, forward } = stepOf(model, kind, inputs);
    const symbols = { batch: 64, tokens: 8, rows: 64 };
    const peak = (step: Graph): number => peakBytes(lowerFor("cpu", step), symbols);
    const [before, after] = [graph, recomputeCheap(graph, forward)].map(peak);
    expect(after).toBeLessThan(0.9 * before!); // 0.73 to 0.86 of them
  });
});
