/** A comparison as a picture: a panel for each data set, a row for each method. */
import type { Comparison } from "../search/compare.js";
import type { Measure } from "../search/compare-plan.js";
import type { Spread } from "../search/compare-statistics.js";
import type { ComparisonSummary, MethodSummary } from "../search/compare-summary.js";
import { methodLabel, scaled } from "./compare-report.js";
import { along, axis, dot, horizontal, picture, text, vertical } from "./svg.js";

interface Panel {
  readonly title: string;
  readonly measure: Measure;
  readonly spread: (row: MethodSummary) => Spread | undefined;
}

/** Pixels. */
const [ROW, WIDTH, GAP, TOP, BOTTOM, CHARACTER] = [28, 220, 28, 44, 48, 7.2];

/** An SVG: the mean as a dot, ± one standard deviation as a line, single seeds as strokes, the reference as a dashed line. */
export function drawComparison({ data, plan }: Comparison, { methods, measure, reference }: ComparisonSummary): string {
  const rows = methods.filter(({ overBudget }) => !overBudget);
  const panels: Panel[] = [
    ...data.map((set) => ({
      title: set.name,
      measure: set.measure,
      spread: (row: MethodSummary) => row.scores[set.name],
    })),
    ...(measure && data.length > 1 ? [{ title: "mean", measure, spread: (row: MethodSummary) => row.mean }] : []),
  ];
  const left = 24 + CHARACTER * Math.max(...rows.map((row) => methodLabel(row).length));
  const width = left + panels.length * (WIDTH + GAP);
  const height = TOP + ROW * rows.length + BOTTOM;
  const labels = rows.map((row, i) => text(left - 12, middle(i), methodLabel(row), { anchor: "end" }));
  const drawn = panels.map((panel, i) => drawPanel(panel, rows, left + i * (WIDTH + GAP), reference));
  const seeds = plan.seeds.length > 1 ? `, ± one standard deviation over ${plan.seeds.length} seeds` : "";
  const title = `Test scores by method${seeds}; dashed: ${reference}`;
  return picture(
    { width, height, title: `Methods compared on ${data.map(({ name }) => name).join(", ")}`, description: title },
    [...labels, ...drawn.flat(), text(left, height - 8, title, { size: 11 })],
  );
}

const middle = (row: number): number => TOP + ROW * (row + 0.5);

function drawPanel({ title, measure, spread }: Panel, rows: readonly MethodSummary[], x0: number, reference: string) {
  const bottom = TOP + ROW * rows.length;
  const found = rows.map((row) => spread(row)).map((s) => (s && s.n > 0 ? s : undefined));
  const ends = found.flatMap((s) => (s ? [...s.values, s.mean - noise(s), s.mean + noise(s)] : []));
  const unit = measure.key === "loss" ? measure.title : `${measure.title}, %`;
  const head = [
    text(x0 + WIDTH / 2, TOP - 14, `${title} (${unit})`, { anchor: "middle", weight: 600 }),
    horizontal(x0, x0 + WIDTH, bottom, "quiet"),
  ];
  if (ends.length === 0) return head;
  const scale = axis(Math.min(...ends), Math.max(...ends));
  const at = along(scale, x0, x0 + WIDTH);
  const ticks = scale.ticks.flatMap((tick) => [
    vertical(at(tick), TOP, bottom, "faint"),
    text(at(tick), bottom + 16, scaled(tick, measure), { anchor: "middle", size: 11 }),
  ]);
  const base = found[rows.findIndex(({ method }) => method === reference)];
  const marks = found.flatMap((s, i) => {
    if (!s) return [];
    const y = middle(i);
    return [
      ...s.values.map((value) => vertical(at(value), y - 6, y + 6, "quiet")),
      horizontal(at(s.mean - noise(s)), at(s.mean + noise(s)), y, "blue", { width: 2 }),
      dot([at(s.mean), y], 4.5, "blue"),
    ];
  });
  const dashed = base ? [vertical(at(base.mean), TOP, bottom, "quiet", { dash: "4 3" })] : [];
  return [...head, ...ticks, ...dashed, ...marks];
}

/** A standard deviation; nothing where there is none. */
const noise = ({ deviation }: Spread): number => (Number.isNaN(deviation) ? 0 : deviation);
