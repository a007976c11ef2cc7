import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gradientsOf } from "../autodiff/backward.js";
import { createBuilder } from "../ops/index.js";
import { evaluate, type Sample } from "../ops/testing.fixtures.js";
import { binaryCrossEntropy, cosineLoss, crossEntropy, meanSquaredError } from "./loss.js";

/** Written by scripts/fixtures/loss.py. */
const fixture: {
  readonly classes: number;
  readonly logits: readonly number[];
  readonly labels: readonly number[];
  readonly weights: readonly number[];
  readonly targets: readonly number[];
  /** Of pairs of rows, with the first targets and weights. */
  readonly cosine: { readonly loss: number; readonly gradient: readonly number[] };
  readonly cases: Readonly<Record<string, { readonly loss: number; readonly gradient: readonly number[] }>>;
} = JSON.parse(readFileSync(new URL("../../test/fixtures/loss/loss.fixtures.json", import.meta.url), "utf8"));
const { classes, labels, weights, cases } = fixture;

function openLoss(name: string) {
  const g = createBuilder();
  const logits = g.input("logits", "float32", ["batch", classes]);
  const exampleWeights = g.input("weights", "float32", ["batch"]);
  const numbers = { mse: meanSquaredError, "binary-cross-entropy": binaryCrossEntropy }[name];
  const loss = numbers
    ? numbers(g, logits, g.input("targets", "float32", ["batch", classes]), exampleWeights)
    : crossEntropy(g, logits, g.input("labels", "int32", ["batch"]), exampleWeights, Number(name));
  g.output("loss", loss);
  g.output("gradient", gradientsOf(g, loss, [logits])[0]!);
  /** Of the examples from one number to another. */
  return async (from: number, to: number): Promise<{ loss: number; gradient: readonly number[] }> => {
    const rows = (values: readonly number[]): Sample => ({
      dtype: "float32",
      shape: [to - from, classes],
      values: values.slice(from * classes, to * classes),
    });
    const column = (dtype: "int32" | "float32", values: readonly number[]): Sample => ({
      dtype,
      shape: [to - from],
      values: values.slice(from, to),
    });
    const found = await evaluate(g.graph, {
      logits: rows(fixture.logits),
      weights: column("float32", weights),
      ...(Number.isNaN(Number(name)) ? { targets: rows(fixture.targets) } : { labels: column("int32", labels) }),
    });
    return { loss: found["loss"]!.values[0]!, gradient: found["gradient"]!.values };
  };
}

describe.each(Object.keys(cases))("%s (a number: cross-entropy of this label smoothing)", async (name) => {
  const run = openLoss(name);
  const whole = await run(0, labels.length);
  const expected = cases[name]!;
  const largest = Math.max(...expected.gradient.map(Math.abs));

  test("loss and gradient are PyTorch's", () => {
    expect(Math.abs(whole.loss / expected.loss - 1)).toBeLessThan(1e-6);
    const worst = Math.max(...whole.gradient.map((v, i) => Math.abs(v - expected.gradient[i]!)));
    expect(worst / largest).toBeLessThan(1e-6); // float32, sums of four terms
  });

  test("an example of weight 0 counts nothing", () => {
    expect(whole.gradient.slice(3 * classes, 4 * classes).map(Math.abs)).toEqual([0, 0, 0, 0]);
  });

  test("a batch is the sum of its parts, an empty one nothing", async () => {
    const parts = [await run(0, 2), await run(2, 2), await run(2, 6)];
    const sum = parts.reduce((total, { loss }) => total + loss, 0);
    expect(Math.abs(sum / whole.loss - 1)).toBeLessThan(1e-6);
    expect({ ...parts[1], loss: Math.abs(parts[1]!.loss) }).toEqual({ loss: 0, gradient: [] });
    expect(parts.flatMap(({ gradient }) => gradient)).toEqual(whole.gradient); // rows do not meet in a gradient
  });
});

test("the cosine of pairs: loss and gradient are PyTorch's", async () => {
  const g = createBuilder();
  const embeddings = g.input("logits", "float32", ["batch", classes]);
  const targets = g.input("targets", "float32", ["pairs", 1]);
  const loss = cosineLoss(g, embeddings, targets, g.input("weights", "float32", ["pairs"]));
  g.output("loss", loss);
  g.output("gradient", gradientsOf(g, loss, [embeddings])[0]!);
  const first = [0, 1, 2].map((i) => fixture.targets[i * classes]!);
  const found = await evaluate(g.graph, {
    logits: { dtype: "float32", shape: [6, classes], values: [...fixture.logits] },
    targets: { dtype: "float32", shape: [3, 1], values: first },
    weights: { dtype: "float32", shape: [3], values: weights.slice(0, 3) },
  });
  const { cosine } = fixture;
  expect(Math.abs(found["loss"]!.values[0]! / cosine.loss - 1)).toBeLessThan(1e-6);
  const largest = Math.max(...cosine.gradient.map(Math.abs));
  const worst = Math.max(...found["gradient"]!.values.map((v, i) => Math.abs(v - cosine.gradient[i]!)));
  expect(worst / largest).toBeLessThan(2e-6);
});
