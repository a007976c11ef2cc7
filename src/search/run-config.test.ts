import { afterAll, beforeAll, expect, test } from "vitest";
import type { Dataset } from "../data/dataset.js";
import type { Model } from "../models/model.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { memoryStore, readStored } from "../training/store.js";
import { openTiny, tinyData } from "../training/tiny.fixtures.js";
import { beginRun, checkRun, configOf, readConfig } from "./run-config.js";

let runtime: Runtime;
let model: Model;
beforeAll(async () => {
  runtime = await createNodeRuntime({ threads: 1 });
  model = await openTiny(runtime);
}, 60_000);
afterAll(() => runtime.dispose());

const describedAs = (description: unknown): Dataset => ({ ...tinyData(), describe: () => description });
const files = (train: string[]) => ({
  kind: "image-folder",
  folder: "here",
  splits: { train, test: ["t"] },
  ignored: [],
});

async function problems(before: [Parameters<typeof configOf>[2], Dataset], now: typeof before): Promise<string[]> {
  const store = memoryStore();
  await beginRun(store, configOf(model, before[1], before[0]), before[1]);
  try {
    expect(await checkRun(store, configOf(model, now[1], now[0]), now[1])).toBe(true);
    return [];
  } catch (thrown) {
    expect((thrown as Error).message).toMatch(/^This run was begun with other settings.*Choose another folder/s);
    return (thrown as { details: { differences: string[] } }).details.differences;
  }
}

test("a config holds what shapes the result, defaults and the adapter's name among them, and nothing else", async () => {
  const data = tinyData();
  const adapter = {
    name: "runs/a/adapter",
    manifest: { a: "elementwise", genome: new Map() },
    tensors: new Map(),
  } as const;
  const store = memoryStore();
  const config = configOf(model, data, {
    budget: { min: 1, max: 9 },
    adapter,
    store,
    stopAfter: "train",
    checkpointSeconds: 1,
    signal: new AbortController().signal,
    onProgress: () => {},
    origin: { glora: "1.2.3" },
  });
  expect(config).toEqual({
    format: "glora-run",
    version: 1,
    model: { path: "tiny", device: "cpu" },
    data: { name: "corners" },
    options: {
      preset: "glora",
      recipe: "default",
      maxSeconds: 3600,
      seed: 0,
      budget: { min: 1, max: 9 },
      adapter: "runs/a/adapter",
    },
    origin: { glora: "1.2.3" },
  });
  expect(await checkRun(store, config, data)).toBe(false);
  await beginRun(store, config, data);
  expect(await readConfig(store)).toEqual(config);
});

test("the same settings go on, said in full or not, from any place and version", async () => {
  const data = tinyData();
  expect(
    await problems([{ rank: 2 }, data], [{ rank: 2, seed: 0, preset: "glora", origin: { glora: "2" } }, data]),
  ).toEqual([]);
  // The folder may have been moved, and files that are no examples may have come.
  const moved = describedAs({ ...files(["a", "b"]), folder: "there", ignored: ["notes.txt"] });
  expect(await problems([{}, describedAs(files(["a", "b"]))], [{}, moved])).toEqual([]);
});

test("other settings are refused, each named with both values", async () => {
  const data = tinyData();
  const before = { budget: 5000, train: { epochs: 3, classWeights: [1, 2, 3] } };
  const now = { budget: 6000, train: { epochs: 3, batchSize: 8, classWeights: [1, 2, 4] }, seed: 1 };
  expect(await problems([before, data], [now, data])).toEqual([
    "options.seed: 0 in the run, 1 now",
    "options.budget: 5000 in the run, 6000 now",
    "options.train.classWeights: [1,2,3] in the run, [1,2,4] now",
    "options.train.batchSize: not given in the run, 8 now",
  ]);
});

test("other examples are refused, and some of them named", async () => {
  const many = Array.from({ length: 9 }, (_, i) => `new-${i}`);
  const differ = (a: unknown, b: unknown) => problems([{}, describedAs(a)], [{}, describedAs(b)]);
  expect(await differ(files(["a", "b"]), files(["b", ...many]))).toEqual([
    'data.splits.train: of the run are missing now: 1 ("a"); new since then: 9 ("new-0", "new-1", "new-2", …)',
  ]);
  expect(await differ(files(["a", "b"]), files(["b", "a"]))).toEqual([
    "data.splits.train: the same items in another order",
  ]);
});

test("files whose content has changed are named; of a run that kept no contents none", async () => {
  const lines = (content?: Record<string, string>) =>
    describedAs({ kind: "text", splits: { train: ["a.tsv:1"] }, ...(content && { content }) });
  const differ = (a: Dataset, b: Dataset) => problems([{}, a], [{}, b]);
  expect(
    await differ(lines({ "a.tsv": "1", "b.tsv": "2", "c.tsv": "3" }), lines({ "a.tsv": "9", "b.tsv": "2" })),
  ).toEqual(["data: the content of a.tsv is another than when it was begun"]);
  expect(await differ(lines(), lines({ "a.tsv": "9" }))).toEqual([]);
});

test("a config of another version is refused", async () => {
  const store = memoryStore();
  await store.write("config.json", '{"format":"glora-run","version":2}');
  await expect(readConfig(store)).rejects.toThrow(
    'config.json: expected format "glora-run", version 1; found "glora-run", version 2.',
  );
  await store.write("config.json", "{");
  await expect(readConfig(store)).rejects.toThrow("config.json: not valid JSON");
  expect(await readStored(store, "config.json")).toBe("{");
});
