/** A comparison as a picture: a panel for each data set, a row for each method. */
import type { Comparison } from "../search/compare.js";
import type { Measure } from "../search/compare-plan.js";
import type { Spread } from "../search/compare-statistics.js";
import type { ComparisonSummary, MethodSummary } from "../search/compare-summary.js";
import { methodLabel, scaled } from "./compare-report.js";

interface Panel {
  readonly title: string;
  readonly measure: Measure;
  readonly spread: (row: MethodSummary) => Spread | undefined;
}

/** Pixels. */
const [ROW, WIDTH, GAP, TOP, BOTTOM, CHARACTER] = [28, 220, 28, 44, 48, 7.2];
const [INK, FAINT, MARK, OTHER] = ["#1f2328", "#d0d7de", "#0969da", "#8c959f"];

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
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${height}" viewBox="0 0 ${round(width)} ${height}" ` +
      `font-family="system-ui, sans-serif" font-size="13" fill="${INK}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...labels,
    ...drawn.flat(),
    text(left, height - 8, title, { size: 11 }),
    "</svg>\n",
  ].join("\n");
}

const middle = (row: number): number => TOP + ROW * (row + 0.5);

function drawPanel({ title, measure, spread }: Panel, rows: readonly MethodSummary[], x0: number, reference: string) {
  const bottom = TOP + ROW * rows.length;
  const found = rows.map((row) => spread(row)).map((s) => (s && s.n > 0 ? s : undefined));
  const ends = found.flatMap((s) => (s ? [...s.values, s.mean - noise(s), s.mean + noise(s)] : []));
  const unit = measure.key === "loss" ? measure.title : `${measure.title}, %`;
  const head = [
    text(x0 + WIDTH / 2, TOP - 14, `${title} (${unit})`, { anchor: "middle", weight: 600 }),
    line(x0, bottom, x0 + WIDTH, bottom, OTHER),
  ];
  if (ends.length === 0) return head;
  const { low, high, ticks } = axis(Math.min(...ends), Math.max(...ends));
  const at = (value: number): number => x0 + (WIDTH * (value - low)) / (high - low);
  const scale = ticks.flatMap((tick) => [
    line(at(tick), TOP, at(tick), bottom, FAINT),
    text(at(tick), bottom + 16, scaled(tick, measure), { anchor: "middle", size: 11 }),
  ]);
  const base = found[rows.findIndex(({ method }) => method === reference)];
  const marks = found.flatMap((s, i) => {
    if (!s) return [];
    const y = middle(i);
    return [
      ...s.values.map((value) => line(at(value), y - 6, at(value), y + 6, OTHER)),
      line(at(s.mean - noise(s)), y, at(s.mean + noise(s)), y, MARK, 2),
      `<circle cx="${round(at(s.mean))}" cy="${y}" r="4.5" fill="${MARK}"/>`,
    ];
  });
  const dashed = base ? [line(at(base.mean), TOP, at(base.mean), bottom, OTHER, 1, "4 3")] : [];
  return [...head, ...scale, ...dashed, ...marks];
}

/** A standard deviation; nothing where there is none. */
const noise = ({ deviation }: Spread): number => (Number.isNaN(deviation) ? 0 : deviation);

/** Ends of an axis with room at both, and round numbers between them. */
function axis(least: number, most: number) {
  const room = most > least ? 0.06 * (most - least) : 0.01 + 0.05 * Math.abs(most);
  const [low, high] = [least - room, most + room];
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
  return { low, high, ticks };
}

const round = (n: number): number => Math.round(10 * n) / 10;

const line = (x1: number, y1: number, x2: number, y2: number, colour: string, width = 1, dash?: string): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}" stroke-width="${width}"` +
  `${dash === undefined ? "" : ` stroke-dasharray="${dash}"`}/>`;

interface TextStyle {
  readonly anchor?: "start" | "middle" | "end";
  readonly size?: number;
  readonly weight?: number;
}

const text = (
  x: number,
  y: number,
  content: string,
  { anchor = "start", size = 13, weight = 400 }: TextStyle,
): string =>
  `<text x="${round(x)}" y="${round(y + 4)}" text-anchor="${anchor}" font-size="${size}" font-weight="${weight}">` +
  `${escaped(content)}</text>`;

const escaped = (content: string): string =>
  content.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
