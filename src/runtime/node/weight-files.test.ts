import { realpath } from "node:fs/promises";
import { expect, test } from "vitest";
import { GloraError } from "../../base/errors.js";
import type { WeightSource } from "../../ir/graph.js";
import { createBuilder } from "../../ops/index.js";
import { placeWeights } from "./weight-files.node.js";

test("who has checksums is asked for those of each weight before its file is mapped", async () => {
  const path = await realpath("package.json");
  const asked: number[][] = [];
  const source = (verify: NonNullable<WeightSource["verify"]>): WeightSource => ({
    name: "w",
    path,
    read: async (_, length) => new Uint8Array(length),
    verify,
  });
  const graph = (from: WeightSource) => {
    const g = createBuilder();
    const data = { kind: "external", dtype: "float32", source: from, length: 8 } as const;
    const weights = [4, 16].map((offset) => g.initializer(`${offset}`, [2], { ...data, offset }, "float32"));
    g.output("y", weights.reduce(g.add));
    return g.graph;
  };
  const placed = await placeWeights(graph(source(async (...range) => void asked.push(range))), "cpu");
  expect(asked).toEqual([
    [4, 8],
    [16, 8],
  ]);
  expect(placed.embedded.size).toBe(0);
  const spoilt = source(async () => {
    throw new GloraError("FILE", "w: changed");
  });
  await expect(placeWeights(graph(spoilt), "cpu")).rejects.toThrow("w: changed");
});
