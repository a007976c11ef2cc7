/** Metrics as people read them. */
import type { ClassificationMetrics, Metrics } from "../evaluation/metrics.js";
import { table } from "./table.js";
import type { Paint } from "./terminal.js";

export const percent = (share: number): string => (Number.isNaN(share) ? "–" : `${(100 * share).toFixed(1)} %`);

/** What each kind of metrics shows of itself. */
const COLUMNS: readonly { readonly key: string; readonly title: string; readonly show: (value: number) => string }[] = [
  { key: "accuracy", title: "accuracy", show: percent },
  { key: "correlation", title: "correlation", show: (value) => value.toFixed(3) },
  { key: "balancedAccuracy", title: "balanced", show: percent },
  { key: "macroF1", title: "macro F1", show: percent },
  { key: "top5", title: "top 5", show: percent },
  { key: "tokens", title: "tokens", show: String },
  { key: "loss", title: "loss", show: (loss) => loss.toFixed(3) },
  { key: "perplexity", title: "perplexity", show: (value) => value.toFixed(2) },
];

/** One row for each set of metrics that is there. */
export function metricsTable(scores: Readonly<Record<string, Metrics | undefined>>, paint: Paint): string {
  const all = Object.entries(scores).filter((entry): entry is [string, Metrics] => entry[1] !== undefined);
  // Of numbers the accuracy is their correlation.
  const hidden = [
    ...(all.some(([, metrics]) => "correlation" in metrics) ? ["accuracy"] : []),
    ...(all.every(([, metrics]) => isOfFewClasses(metrics)) ? ["top5"] : []),
  ];
  const columns = COLUMNS.filter(({ key }) => !hidden.includes(key) && all.some(([, metrics]) => key in metrics));
  const rows = all.map(([name, metrics]) => [
    name,
    metrics.examples,
    ...columns.map(({ key, show }) => show(Number(metrics[key as keyof Metrics]))),
  ]);
  return table(["split", "examples", ...columns.map(({ title }) => ({ title, align: "right" as const }))], rows, paint);
}

/** The right class is always among five. */
const isOfFewClasses = (metrics: Metrics): boolean =>
  "confusion" in metrics && (metrics as ClassificationMetrics).confusion.length <= 5;
