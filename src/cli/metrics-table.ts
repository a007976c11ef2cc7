/** Metrics as people read them. */
import type { Metrics } from "../evaluation/metrics.js";
import { table } from "./table.js";
import type { Paint } from "./terminal.js";

export const percent = (share: number): string => (Number.isNaN(share) ? "–" : `${(100 * share).toFixed(1)} %`);

/** One row for each set of metrics that is there. */
export function metricsTable(scores: Readonly<Record<string, Metrics | undefined>>, paint: Paint): string {
  const rows = Object.entries(scores).flatMap(([name, m]) =>
    m
      ? [[name, m.examples, ...[m.accuracy, m.balancedAccuracy, m.macroF1, m.top5].map(percent), m.loss.toFixed(3)]]
      : [],
  );
  const right = (title: string) => ({ title, align: "right" as const });
  return table(["split", "examples", ...["accuracy", "balanced", "macro F1", "top 5", "loss"].map(right)], rows, paint);
}
