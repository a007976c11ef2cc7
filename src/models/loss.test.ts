import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gradientsOf } from "../autodiff/backward.js";
import { createBuilder } from "../ops/index.js";
import { evaluate, type Sample } from "../ops/testing.fixtures.js";
import { crossEntropy, meanSquaredError } from "./loss.js";

/** Written by scripts/fixtures/loss.py. */
const fixture: {
  readonly classes: number;
  readonly logits: readonly number[];
  readonly labels: readonly number[];
  readonly weights: readonly number[];
  readonly targets: readonly number[];
  readonly cases: Readonly<Record<string, { readonly loss: number; readonly gradient: readonly number[] }>>;
} = JSON.parse(readFileSync(new URL("../../test/fixtures/loss/loss.fixtures.json", import.meta.url), "utf8"));
const { classes, labels, weights, cases } = fixture;

function openLoss(name: string) {
  const g = createBuilder();
  const logits = g.input("logits", "float32", ["batch", classes]);
  const exampleWeights = g.input("weights", "float32", ["batch"]);
  const loss =
    name === "mse"
      ? meanSquaredError(g, logits, g.input("targets", "float32", ["batch", classes]), exampleWeights)
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
      ...(name === "mse" ? { targets: rows(fixture.targets) } : { labels: column("int32", labels) }),
    });
    return { loss: found["loss"]!.values[0]!, gradient: found["gradient"]!.values };
  };
}

describe.each(Object.keys(cases))("%s (cross-entropy of this label smoothing, or mse)", async (name) => {
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
