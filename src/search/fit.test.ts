import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GloraError } from "../base/errors.js";
import type { Model } from "../models/model.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { memoryStore, type RunStore, readStored } from "../training/store.js";
import { openTiny, TINY_LABELS, tinyData } from "../training/tiny.fixtures.js";
import { type FitEvent, type FitOptions, fit } from "./fit.js";

let runtime: Runtime;
let model: Model;
beforeAll(async () => {
  runtime = await createNodeRuntime({ threads: 1 });
  model = await openTiny(runtime);
});
afterAll(() => runtime.dispose());

/** A whole fit in 6 + 3 steps and 12 candidates; nothing is planned from measured times. */
const small: FitOptions = {
  rank: 2,
  budget: 300,
  train: { epochs: 2, batchSize: 8, learningRate: 0.01, dropPath: 0.1, augment: { flip: 0.5 }, validateEvery: 1 },
  search: { population: 4, generations: 2, parents: 2, mutants: 2, crossovers: 1, finalists: 2 },
  further: { epochs: 1 },
  seed: 3,
};
const FILES = ["log.jsonl", "search.jsonl", "result.json", "train.safetensors", "further.safetensors"];

async function contents(store: RunStore): Promise<Record<string, string | undefined>> {
  const entries = FILES.map(async (file) => {
    const bytes = await store.read(file);
    return [file, bytes && Buffer.from(bytes).toString("latin1")] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** A store whose process is killed at the `last`-th change: a text is then half written, a replaced file is the old one. */
function mortal(store: RunStore, last: number): RunStore & { changes: number } {
  const own = {
    changes: 0,
    read: store.read,
    async write(name: string, data: Uint8Array | string) {
      if (own.changes++ >= last) throw new Error("killed");
      await store.write(name, data);
    },
    async append(name: string, text: string) {
      if (own.changes++ >= last) {
        await store.append(name, text.slice(0, text.length / 2));
        throw new Error("killed");
      }
      await store.append(name, text);
    },
  };
  return own;
}

describe("an interrupted fit", () => {
  let expected: Record<string, string | undefined>;
  let parameters: Float32Array;
  let changes: number;
  beforeAll(async () => {
    const store = mortal(memoryStore(), Number.POSITIVE_INFINITY);
    const result = await fit(model, tinyData(), { ...small, store, checkpointSeconds: 0 });
    parameters = result.adapted.parameters;
    expected = await contents(store);
    changes = store.changes;
  });

  test("leaves every file, and something was trained, searched and trained further", () => {
    expect(Object.values(expected).every((text) => text !== undefined)).toBe(true);
    const steps = (expected["log.jsonl"] ?? "")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(steps.map(({ phase, step }) => [phase, step])).toEqual([
      ["train", 3],
      ["train", 6],
      ["further", 3],
    ]);
    expect((expected["search.jsonl"] ?? "").split("\n").length - 1).toBeGreaterThanOrEqual(12);
  });

  test("repeats to the bit, however often it is saved", async () => {
    const store = memoryStore();
    await fit(model, tinyData(), { ...small, store });
    expect(await contents(store)).toEqual(expected);
  });

  test("killed at any of its writes, it goes on and ends with the same bits", async () => {
    for (let last = 0; last < changes; last++) {
      const store = memoryStore();
      const killed = fit(model, tinyData(), { ...small, store: mortal(store, last), checkpointSeconds: 0 });
      await expect(killed, `killed at write ${last}`).rejects.toThrow("killed");
      const result = await fit(model, tinyData(), { ...small, store });
      expect(result.adapted.parameters, `killed at write ${last}`).toEqual(parameters);
      expect(await contents(store), `killed at write ${last}`).toEqual(expected);
    }
  });
});
