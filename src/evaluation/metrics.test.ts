import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { balancedClassWeights, type ClassificationMetrics, classificationMetrics } from "./metrics.js";

interface Case {
  readonly name: string;
  readonly classes: number;
  readonly logits: number[];
  readonly labels: number[];
  readonly expected: ClassificationMetrics;
  readonly classWeights: Record<string, number>;
}
const file = new URL("../../test/fixtures/metrics/metrics.fixtures.json", import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(file, "utf8"));

test.each(cases.map((c) => [c.name, c] as const))("%s: as scikit-learn", (_name, c) => {
  const { loss, confusion, ...shares } = classificationMetrics(
    Float32Array.from(c.logits),
    Int32Array.from(c.labels),
    c.classes,
  );
  expect(confusion).toEqual(c.expected.confusion);
  // Both compute in float64 from the same float32 logits: only the order of sums differs.
  expect(loss).toBeCloseTo(c.expected.loss, 10);
  for (const [name, value] of Object.entries(shares))
    expect(value, name).toBeCloseTo(c.expected[name as keyof typeof shares], 12);
});

test.each(cases.map((c) => [c.name, c] as const))(
  "%s: class weights as scikit-learn, 0 for absent classes",
  (_name, c) => {
    const weights = balancedClassWeights(Int32Array.from(c.labels), c.classes);
    weights.forEach((weight, i) => {
      expect(weight).toBeCloseTo(c.classWeights[i] ?? 0, 6); // float32
    });
  },
);

test("equal logits: the smaller index comes first", () => {
  const score = (label: number) => classificationMetrics(new Float32Array(7), Int32Array.of(label), 7);
  expect([score(0).accuracy, score(1).accuracy]).toEqual([1, 0]);
  expect([score(4).top5, score(5).top5]).toEqual([1, 0]);
  expect(score(3).loss).toBeCloseTo(Math.log(7), 12);
});

test("a NaN makes its example wrong, not the others", () => {
  const { loss, accuracy, balancedAccuracy, top5, confusion } = classificationMetrics(
    Float32Array.of(Number.NaN, 0, 3, 0),
    Int32Array.of(0, 0),
    2,
  );
  expect({ loss, accuracy, balancedAccuracy, top5, confusion }).toEqual({
    loss: Number.NaN,
    accuracy: 0.5,
    balancedAccuracy: 0.5,
    top5: 0.5,
    confusion: [
      [1, 0],
      [0, 0],
    ],
  });
});

test("huge logits do not overflow", () => {
  expect(classificationMetrics(Float32Array.of(1e30, 0), Int32Array.of(0), 2).loss).toBe(0);
  expect(classificationMetrics(Float32Array.of(-1e4, 0), Int32Array.of(0), 2).loss).toBe(1e4);
});

test("labels and shapes that cannot be are refused", () => {
  expect(() => classificationMetrics(new Float32Array(4), Int32Array.of(0, 2), 2)).toThrow(
    "Example 1 has label 2; expected 0 … 1.",
  );
  expect(() => classificationMetrics(new Float32Array(3), Int32Array.of(0, 1), 2)).toThrow(
    "Expected 2 × 2 logits, got 3.",
  );
});
