import { afterAll, beforeAll, expect, test } from "vitest";
import { GloraError } from "../base/errors.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { openTiny, TINY_LABELS, tinyData } from "../training/tiny.fixtures.js";
import { predict } from "./predict.js";
import { testModel } from "./test-model.js";

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createNodeRuntime();
});
afterAll(() => runtime.dispose());

async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test("predictions: the class of the largest logit and its softmax, in any batch size", async () => {
  const model = await openTiny(runtime);
  const { test: split } = await tinyData().prepare(model.input);
  const all = await listed(predict(model, split));
  expect(all.map(({ file }) => file)).toEqual(split.names);
  for (const { label, probability, logits } of all) {
    const exp = logits.map(Math.exp);
    const best = exp.indexOf(Math.max(...exp));
    expect(label).toBe(TINY_LABELS[best]);
    expect(probability).toBeCloseTo(exp[best]! / exp.reduce((a, b) => a + b), 6);
  }
  const byTwos = await listed(predict(model, split, { batchSize: 2 }));
  expect(byTwos.map(({ label }) => label)).toEqual(all.map(({ label }) => label));

  // The share of right predictions is the accuracy that testModel gives.
  const right = all.filter(({ label }, i) => label === TINY_LABELS[split.labels[i]!]).length;
  expect((await testModel(model, tinyData())).accuracy).toBeCloseTo(right / split.size, 12);
});

test("logits that are not finite are an error that names the first example", async () => {
  const model = await openTiny(runtime);
  const broken = { ...model, input: { ...model.input, std: [0, 0, 0] } }; // x / 0
  const { test: split } = await tinyData().prepare(broken.input);
  const expected = expect.objectContaining({
    code: "MODEL",
    message: expect.stringContaining(
      `The logits of ${model.name} are not finite: NaN for class 0 of ${split.names[0]}. `,
    ),
  });
  await expect(listed(predict(broken, split))).rejects.toThrow(expected);
  await expect(testModel(broken, tinyData())).rejects.toThrow(expected);
});

test("classes of the data that are not the model's are refused, in any order but its own", async () => {
  const model = await openTiny(runtime);
  const other = tinyData({ labels: [...TINY_LABELS].reverse() });
  const error = await testModel(model, other).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(GloraError);
  expect((error as GloraError).message).toMatch(
    /expected 3 classes \(north, east, south\), found 3 classes \(south, east, north\)/,
  );
  const unnamed = { ...model, labels: TINY_LABELS.map((_, i) => `LABEL_${i}`) };
  expect(await testModel(unnamed, other)).toMatchObject({ examples: (await other.prepare(model.input)).test.size });
  await expect(testModel(unnamed, tinyData({ labels: TINY_LABELS.slice(1) }))).rejects.toThrow(
    "expected 3 classes, found 2 classes (east, south)",
  );
  const usual = { ...model, usualLabels: true };
  expect(await testModel(usual, tinyData({ labels: ["n01", "n02", "n03"] }))).toMatchObject({ examples: 9 });
  await expect(testModel(usual, other)).rejects.toThrow("expected 3 classes (north, east, south)");
  const several = { ...tinyData(), task: { kind: "multi-label", labels: TINY_LABELS } } as const;
  await expect(testModel(model, several)).rejects.toThrow(
    "corners asks for labels of each example, any number of them, which tiny was not trained to say. ",
  );
  await expect(testModel(model, { ...tinyData(), task: { kind: "language" } })).rejects.toThrow(
    "corners asks for the next token, which tiny was not trained to say. ",
  );
  await expect(testModel(model, tinyData({ counts: { test: 0 } }))).rejects.toThrow("corners has no test examples");
});

test.each([
  ["binary-cross-entropy", "labels", (z: number) => 1 / (1 + Math.exp(-z))],
  ["mse", "values", (z: number) => z],
] as const)("of a model trained by %s: %s by name", async (loss, kind, value) => {
  const model = { ...(await openTiny(runtime)), loss };
  const { test: split } = await tinyData().prepare(model.input);
  const [first] = await listed(predict(model, split));
  const { file, logits, ...said } = first!;
  expect(file).toBe(split.names[0]);
  expect(said).toEqual({ [kind]: Object.fromEntries(TINY_LABELS.map((label, i) => [label, value(logits[i]!)])) });
});

test("a language model says nothing of examples", async () => {
  const model = await openTiny(runtime);
  const { test: split } = await tinyData().prepare(model.input);
  await expect(listed(predict({ ...model, rows: "tokens" }, split))).rejects.toThrow("is a language model");
});
