import { formatCount } from "../training/progress.js";
import { displayWidth, type Paint, pad, plain } from "./terminal.js";

/** Numbers are counts, written with separators; anything else comes as text. */
export type Cell = string | number | undefined;

export interface Column {
  readonly title: string;
  /** Default: right where every cell is a number or absent, else left. */
  readonly align?: "left" | "right";
}

/** A table as lines of text: columns two spaces apart, the titles above, no line ends in spaces. */
export function table(
  columns: readonly (string | Column)[],
  rows: readonly (readonly Cell[])[],
  paint: Paint = plain,
): string {
  const texts = rows.map((row) => columns.map((_, i) => cellText(row[i])));
  const plans = columns.map((column, i) => {
    const { title, align } = typeof column === "string" ? { title: column } : column;
    const numeric = rows.every((row) => typeof row[i] !== "string");
    const width = Math.max(displayWidth(title), ...texts.map((row) => displayWidth(row[i]!)));
    return { title, width, align: align ?? (numeric ? "right" : "left") } as const;
  });
  const line = (cells: readonly string[]): string =>
    plans
      .map(({ width, align }, i) => pad(cells[i]!, width, align))
      .join("  ")
      .trimEnd();
  const titles = line(plans.map(({ title }) => title));
  return [...(titles === "" ? [] : [paint("bold", titles)]), ...texts.map(line)].join("\n");
}

const cellText = (cell: Cell): string => (typeof cell === "number" ? formatCount(cell) : (cell ?? ""));
