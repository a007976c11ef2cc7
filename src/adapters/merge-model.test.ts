import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import type { Weight } from "../models/weights.js";
import { supernet } from "./adapted-model.js";
import { adapted } from "./merge.fixtures.js";
import { addsBiases, mergedTensors, relativeDifference } from "./merge-model.js";
import { createSpace } from "./space.js";

test("the tensors that change are known at once; a layer is read and merged when it is asked for, once", async () => {
  const from = await adapted("timm");
  const reads: string[] = [];
  const watched = [...from.model.weights].map(([name, { shape, data }]): [string, Weight] => {
    if (data.kind !== "external") return [name, { shape, data }];
    const read = (offset: number, length: number): Promise<Uint8Array> => {
      reads.push(name);
      return data.source.read(offset, length);
    };
    return [name, { shape, data: { ...data, source: { name: data.source.name, read } } }];
  });
  const tensors = mergedTensors({ ...from, model: { ...from.model, weights: new Map(watched) } });
  expect(tensors.map(({ name, shape }) => `${name} ${shape}`)).toEqual([
    "blocks.0.attn.qkv.weight 36,12",
    "blocks.0.attn.qkv.bias 36",
    "blocks.0.mlp.fc1.weight 24,12",
    "blocks.0.mlp.fc1.bias 24",
    "blocks.1.attn.qkv.bias 36", // the flag is for all blocks
    "blocks.1.attn.proj.weight 12,12",
    "blocks.1.attn.proj.bias 12",
    "blocks.1.mlp.fc2.weight 12,24",
    "blocks.1.mlp.fc2.bias 12",
    "head.weight 4,12",
    "head.bias 4",
  ]);
  expect(reads).toEqual([]);
  for (const tensor of tensors.slice(0, 4))
    expect((await tensor.values()).length).toBe(tensor.shape.reduce((a, n) => a * n));
  expect(reads).toEqual(["blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc1.bias"]);
});

test("biases are added for C and E on layers without one, and for nothing else", async () => {
  const from = await adapted("timm");
  expect(addsBiases(from)).toBe(true);
  const qkv = from.genome!.get("blocks.0.attn.qkv")!;
  const genome = new Map(from.genome).set("blocks.0.attn.qkv", { ...qkv, C: "none", D: "vector", E: "none" });
  expect(addsBiases({ ...from, genome })).toBe(false);
  expect(mergedTensors({ ...from, genome }).filter(({ name }) => name.endsWith("qkv.bias"))).toEqual([]);
  expect(addsBiases(await adapted("transformers"))).toBe(false);
});

test("a supernet has no one structure", async () => {
  const { model } = await adapted("timm");
  const net = supernet(model, createSpace(model.layers), rngStream(1, "net"));
  expect(() => mergedTensors(net)).toThrow("A supernet has no one structure to merge: search one first.");
});

test("a relative difference is infinite where a value is not finite, or all is zero in one alone", () => {
  const difference = (a: number[], b: number[]) => relativeDifference(Float32Array.from(a), Float32Array.from(b));
  expect(difference([1, -4], [1.5, -4])).toBe(0.125);
  expect(difference([0, 0], [0, 0])).toBe(0);
  for (const [a, b] of [
    [
      [1, Number.NaN],
      [1, 1],
    ],
    [
      [1, 1],
      [1, Number.NaN],
    ],
    [
      [1, Number.POSITIVE_INFINITY],
      [1, Number.POSITIVE_INFINITY],
    ],
    [
      [1, 1],
      [0, 0],
    ],
  ] as const)
    expect(difference([...a], [...b])).toBe(Number.POSITIVE_INFINITY);
});
