import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { fit } from "../search/run.node.js";
import { openTiny, tinyData } from "../training/tiny.fixtures.js";
import { writePictures } from "./run-pictures.js";
import { rendered } from "./svg.fixtures.js";

let root: string;
let runtime: Runtime;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "glora-pictures-"));
  runtime = await createNodeRuntime({ threads: 1 });
});
afterAll(async () => {
  await runtime.dispose();
  await rm(root, { recursive: true });
});

const settings = {
  ...{ rank: 2, budget: 300 },
  train: { epochs: 2, batchSize: 8, learningRate: 0.01, validateEvery: 1 },
  search: { population: 4, generations: 1, parents: 2, mutants: 2, crossovers: 1 },
  further: { epochs: 1 },
};

test("a run's pictures are equal byte for byte when they are drawn again", async () => {
  const out = join(root, "run");
  const model = await openTiny(runtime);
  const run = await fit(model, tinyData(), { ...settings, out });
  const files = ["structure.svg", "curve.svg"].map((file) => join(out, file));
  const read = () => Promise.all(files.map((file) => readFile(file, "utf8")));

  expect(await writePictures(run)).toEqual(files);
  const first = await read();
  for (const svg of first) await rendered(svg);
  expect(first[0]).toContain(`<title>${run.parameters} adapter parameters in 8 layers`);
  expect(first[1]).toContain("phases train,");
  expect(first[1]).toContain(">search: ");

  await writePictures(await fit(model, tinyData(), { ...settings, out }));
  expect(await read()).toEqual(first);
});

test("what there is nothing of is not drawn; a damaged log is named", async () => {
  const model = await openTiny(runtime);
  const train = settings.train;
  expect(await writePictures(await fit(model, tinyData(), { preset: "linear", train }))).toEqual([]);
  const out = join(root, "linear");
  const run = await fit(model, tinyData(), { preset: "linear", train, out });
  expect(await writePictures(run)).toEqual([join(out, "curve.svg")]);
  await writeFile(join(out, "log.jsonl"), '{"phase":"train","epoch":"one","trainLoss":1}\n');
  await expect(writePictures(run)).rejects.toThrow(/log\.jsonl, line 1: epoch: a list of numbers is expected/);
});
