import { expect, test } from "vitest";
import { classificationMetrics } from "../evaluation/metrics.js";
import { metricsTable } from "./metrics-table.js";
import { plain } from "./terminal.js";

const metricsOf = (classes: number) =>
  classificationMetrics(new Float32Array(2 * classes).fill(0.5), Int32Array.of(0, classes - 1), classes);

test("the five likeliest are shown where there are more than five classes", () => {
  expect(metricsTable({ test: metricsOf(6) }, plain)).toContain("top 5");
  expect(metricsTable({ test: metricsOf(5) }, plain)).not.toContain("top 5");
  expect(metricsTable({ test: metricsOf(5) }, plain)).toContain("macro F1");
});
