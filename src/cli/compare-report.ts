/** A comparison as people and programs read it: tables, Markdown, CSV and JSON. */
import type { Comparison } from "../search/compare.js";
import type { Measure, MethodPlan } from "../search/compare-plan.js";
import type { Paired, Spread } from "../search/compare-statistics.js";
import type { ComparisonSummary, MethodSummary } from "../search/compare-summary.js";
import { counted, formatCount, formatDuration } from "../training/progress.js";
import { table } from "./table.js";
import type { Paint } from "./terminal.js";

/** "lora r=4", "searched GLoRA". */
export const methodLabel = ({ method, rank }: Pick<MethodPlan, "method" | "rank">): string =>
  method === "glora" ? "searched GLoRA" : rank === undefined ? method : `${method} r=${rank}`;

/** Shares are shown in percent, losses as they are. */
export const scaled = (score: number, { key }: Measure): string =>
  key === "loss" ? score.toFixed(3) : (100 * score).toFixed(1);

interface Grid {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of text, which stand to the left. */
  readonly texts: number;
}

function scoreGrid({ data, plan }: Comparison, { methods, measure }: ComparisonSummary): Grid {
  const searched = methods.some(({ method }) => method === "glora");
  const several = measure !== undefined && data.length > 1;
  const heads = data.map((set) => (measure ? set.name : `${set.name}, ${set.measure.title}`));
  const columns = ["method", "parameters", "rate", ...heads, ...(several ? ["mean"] : []), "time"];
  const score = (spread: Spread | undefined, kind: Measure): string => {
    if (!spread || spread.n === 0) return "–";
    const deviation = spread.n > 1 ? ` ± ${scaled(spread.deviation, kind)}` : "";
    const part = spread.n < plan.seeds.length ? ` (${spread.n} of ${plan.seeds.length})` : "";
    return `${scaled(spread.mean, kind)}${deviation}${part}`;
  };
  const rows = methods.map((row) => [
    methodLabel(row),
    parametersText(row) + (row.overBudget ? ", over the budget" : ""),
    row.learningRates.join(", "),
    ...data.map((set) => score(row.scores[set.name], set.measure)),
    ...(several ? [score(row.mean, measure)] : []),
    Number.isNaN(row.seconds) ? "–" : formatDuration(row.seconds),
    ...(searched ? [row.searchSeconds > 0 ? formatDuration(row.searchSeconds) : ""] : []),
  ]);
  return { columns: searched ? [...columns, "its search"] : columns, rows, texts: 1 };
}

function parametersText({ parameters }: MethodSummary): string {
  if (!parameters) return "–";
  const [fewest, most] = parameters;
  return fewest === most ? formatCount(most) : `${formatCount(fewest)} to ${formatCount(most)}`;
}

function differenceGrid({ data }: Comparison, { methods }: ComparisonSummary): Grid {
  const line = (row: MethodSummary, on: string, paired: Paired, { key }: Measure): string[] => {
    const factor = key === "loss" ? 1 : 100;
    const number = (x: number) => (Number.isNaN(x) ? "–" : (factor * x).toFixed(key === "loss" ? 4 : 2));
    const { n, mean, standardError, t, p, positive, negative } = paired;
    const [better, worse] = key === "loss" ? [negative, positive] : [positive, negative];
    return [
      methodLabel(row),
      on,
      (mean > 0 ? "+" : "") + number(mean),
      number(standardError),
      Number.isNaN(p) ? "–" : t.toFixed(2),
      Number.isNaN(p) ? "–" : p < 0.001 ? "< 0.001" : p.toFixed(3),
      String(n),
      `${better} / ${n - better - worse} / ${worse}`,
    ];
  };
  const rows = methods.flatMap((row) => [
    ...(row.difference && data.length > 1 ? [line(row, "all", row.difference, data[0]!.measure)] : []),
    ...data.flatMap(({ name, measure }) => {
      const paired = row.differences[name];
      return paired ? [line(row, name, paired, measure)] : [];
    }),
  ]);
  const columns = ["method", "data", "difference", "standard error", "t", "p", "pairs", "better / equal / worse"];
  return { columns, rows, texts: 2 };
}

/** What was compared, and under which conditions. */
export function headline({ model, data, plan }: Comparison): string {
  const { budget, epochs, furtherEpochs, learningRates, seeds, selectOnFirstSeed, methods, trainExamples } = plan;
  const chosen = selectOnFirstSeed && seeds.length > 1 ? `on seed ${seeds[0]} alone, for all` : "for each seed";
  const searched = methods.some(({ method }) => method === "glora");
  const rates =
    learningRates.length === 1 ? `learning rate ${learningRates[0]}` : `learning rates ${learningRates.join(", ")}`;
  return (
    `${model} on ${data.map(({ name }) => name).join(", ")}. Each method: at most ${counted(budget, "adapter parameter")} ` +
    `(the head not counted), ${counted(epochs, "epoch")}${searched ? ` (searched GLoRA: ${epochs - furtherEpochs} of the supernet and ${furtherEpochs} of its winner)` : ""}, ` +
    `${rates}${learningRates.length === 1 ? "" : `, chosen on validation ${chosen}`}; ${counted(seeds.length, "seed")}` +
    `${trainExamples === undefined ? "" : `; ${counted(trainExamples, "training example")}, drawn by each seed`}.`
  );
}

/** What must be known to read the tables. */
function remarks({ data, plan, outcomes }: Comparison, summary: ComparisonSummary): string[] {
  const { measure, methods, seconds } = summary;
  const { seeds, learningRates, budget } = plan;
  const what = measure ? testText(measure) : data.map((set) => `${set.name}: ${testText(set.measure)}`).join("; ");
  const spread = seeds.length > 1 ? `: mean ± standard deviation over ${seeds.length} seeds` : ", one seed";
  const ofMean = measure && data.length > 1 ? ". Mean: of each seed's mean over the data sets" : "";
  const over = methods.filter(({ overBudget }) => overBudget);
  const ends = [Math.min(...learningRates), Math.max(...learningRates)];
  const atEnd = methods.filter(
    (row) => learningRates.length > 1 && row.learningRates.some((rate) => ends.includes(rate)),
  );
  const diverged = methods.filter((row) => row.diverged > 0);
  const candidates = methods.reduce((sum, row) => sum + row.candidates, 0);
  const names = (rows: readonly MethodSummary[]) => rows.map(methodLabel).join(", ");
  return [
    `${what}${spread}${ofMean}. Time: training and validation of one trial; all ${counted(
      outcomes.reduce((sum, { trials }) => sum + trials.length, 0),
      "trial",
    )} took ${formatDuration(seconds)}${candidates > 0 ? `, the searches' ${counted(candidates, "candidate")} included` : ""}.`,
    ...(over.length > 0 ? [`Over the budget of ${formatCount(budget)}, and not run: ${names(over)}.`] : []),
    ...(diverged.length > 0 ? [`Training diverged at every rate, and has no score there: ${names(diverged)}.`] : []),
    ...(atEnd.length > 0
      ? [`The best rate is at an end of the grid, so that a better one may lie beyond: ${names(atEnd)}.`]
      : []),
  ];
}

const testText = ({ key, title }: Measure): string =>
  key === "loss" ? `Test ${title} (lower is better)` : `Test ${title} in %`;

const PAIRED =
  "A pair is one seed on one data set. p: two-sided, of Student's t for pairs that are independent of each other. Those " +
  "of one data set share its test examples, so that p is rather too small for a claim beyond these data sets, and few pairs " +
  "decide little.";

const differenceTitle = ({ reference, measure, methods }: ComparisonSummary): string => {
  const row = methods.find(({ method }) => method === reference)!;
  const points = "percentage points";
  const unit = !measure
    ? `, losses as they are, others in ${points}`
    : measure.key === "loss"
      ? " in loss"
      : ` in ${measure.title}, ${points}`;
  return `Difference from ${methodLabel(row)}${unit}`;
};

/** The tables for a terminal. */
export function comparisonText(comparison: Comparison, summary: ComparisonSummary, paint: Paint): string {
  const draw = ({ columns, rows, texts }: Grid): string =>
    table(
      columns.map((title, i) => ({ title, align: i < texts ? ("left" as const) : ("right" as const) })),
      rows,
      paint,
    );
  const differences = differenceGrid(comparison, summary);
  const compared = [`${differenceTitle(summary)}:`, draw(differences), PAIRED];
  return [
    draw(scoreGrid(comparison, summary)),
    ...remarks(comparison, summary),
    ...(differences.rows.length > 0 ? compared : []),
  ].join("\n\n");
}

/** The same as Markdown. */
export function comparisonMarkdown(comparison: Comparison, summary: ComparisonSummary): string {
  const differences = differenceGrid(comparison, summary);
  const compared = [`## ${differenceTitle(summary)}`, markdownTable(differences), PAIRED];
  return `${[
    "# Methods compared",
    headline(comparison),
    markdownTable(scoreGrid(comparison, summary)),
    ...remarks(comparison, summary),
    ...(differences.rows.length > 0 ? compared : []),
  ].join("\n\n")}\n`;
}

function markdownTable({ columns, rows, texts }: Grid): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((c) => c.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = columns.map((_, i) => (i < texts ? "---" : "---:"));
  return [line(columns), line(rule), ...rows.map(line)].join("\n");
}

const CSV = [
  ...["data", "method", "seed", "status", "rank", "parameters", "learning_rate", "train_examples"],
  ...[
    "validation_accuracy",
    "validation_loss",
    "test_accuracy",
    "test_loss",
    "seconds",
    "search_seconds",
    "candidates",
  ],
];

/** A line for each method, data set and seed: the chosen trial. Shares are 0 … 1. */
export function comparisonCsv({ plan, outcomes }: Comparison): string {
  const over = plan.methods.filter(({ overBudget }) => overBudget);
  const lines = [
    ...outcomes.map(({ data, method, seed, chosen: c }) =>
      c
        ? [
            ...[data, method, seed, "tested", c.rank, c.parameters, c.learningRate, c.trainExamples],
            ...[c.validation!, c.test!].flatMap(({ accuracy, loss }) => [accuracy, loss]),
            ...[c.seconds, c.searchSeconds, c.candidates],
          ]
        : [data, method, seed, "diverged"],
    ),
    ...over.map(({ method, rank, parameters }) => ["", method, "", "over the budget", rank, parameters]),
  ];
  const cell = (value: unknown): string => {
    const text = String(value ?? "");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const line = (cells: readonly unknown[]): string => CSV.map((_, i) => cell(cells[i])).join(",");
  return `${[CSV.join(","), ...lines.map(line)].join("\n")}\n`;
}

/** Everything, for programs. */
export const comparisonJson = ({ model, plan, data, outcomes }: Comparison, summary: ComparisonSummary) => ({
  model,
  settings: { ...plan, methods: plan.methods.map(({ method }) => method) },
  data,
  ...summary,
  outcomes,
});
