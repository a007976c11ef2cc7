import { formatCount } from "../training/progress.js";
import { type Paint, pad, plain } from "./terminal.js";

export interface FrontPoint {
  readonly parameters: number;
  /** Higher is higher in the drawing. */
  readonly score: number;
  /** The point that was taken. */
  readonly chosen?: boolean;
}

const SIZE = { columns: 56, rows: 10 };

/**
 * A Pareto front as a small chart: parameters to the right, score upwards, the chosen point filled.
 *
 * @param format  how a score is written on the axis
 * @returns lines of text; an empty text where there are no points
 */
export function drawFront(
  points: readonly FrontPoint[],
  format: (score: number) => string,
  paint: Paint = plain,
): string {
  if (points.length === 0) return "";
  const { columns, rows } = SIZE;
  const [left, right] = extent(points.map((point) => point.parameters));
  const [low, high] = extent(points.map((point) => point.score));
  const grid = Array.from({ length: rows }, () => Array<string>(columns).fill(" "));
  // The chosen point last, so that no other covers it.
  for (const point of [...points].sort((x, y) => Number(x.chosen ?? false) - Number(y.chosen ?? false))) {
    const x = Math.round(position(point.parameters, left, right) * (columns - 1));
    const y = Math.round((1 - position(point.score, low, high)) * (rows - 1));
    grid[y]![x] = point.chosen ? paint("green", "●") : "○";
  }
  const labels = [format(high), ...Array<string>(rows - 2).fill(""), format(low)];
  const margin = Math.max(...labels.map((label) => label.length));
  const lines = grid.map((row, i) => `${pad(labels[i]!, margin, "right")} │${row.join("")}`.trimEnd());
  const [first, last] = [formatCount(left), formatCount(right)];
  return [
    ...lines,
    `${" ".repeat(margin)} └${"─".repeat(columns)}`,
    `${" ".repeat(margin + 2)}${pad(first, columns - last.length, "left")}${last}  parameters`,
  ].join("\n");
}

const extent = (values: readonly number[]): readonly [number, number] => [Math.min(...values), Math.max(...values)];

/** Where a value lies between two others, 0 to 1; in the middle where they are one. */
const position = (value: number, low: number, high: number): number =>
  high === low ? 0.5 : (value - low) / (high - low);
