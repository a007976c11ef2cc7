/** Pictures as SVG text: a few shapes, in tones that suit a light and a dark page. The same numbers give the same text. */

/** Each tone on a light page and on a dark one. */
const TONES = {
  back: ["#ffffff", "#0d1117"],
  ink: ["#1f2328", "#e6edf3"],
  quiet: ["#6e7781", "#8b949e"],
  faint: ["#d0d7de", "#30363d"],
  blue: ["#0969da", "#58a6ff"],
  green: ["#1a7f37", "#3fb950"],
  yellow: ["#9a6700", "#d29922"],
  orange: ["#bc4c00", "#f0883e"],
} as const;

export type Tone = keyof typeof TONES;

const rules = (page: 0 | 1): string =>
  Object.entries(TONES)
    .map(([tone, colours]) => `.f-${tone}{fill:${colours[page]}}.s-${tone}{stroke:${colours[page]};fill:none}`)
    .join("");
const STYLE = `<style>${rules(0)}@media (prefers-color-scheme:dark){${rules(1)}}</style>`;

export interface Canvas {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** What it is, and what it shows: for those who do not see it. */
  readonly title: string;
  readonly description: string;
}

/** The whole file. */
export function picture({ width, height, title, description }: Canvas, parts: readonly string[]): string {
  const size = `width="${round(width)}" height="${round(height)}" viewBox="0 0 ${round(width)} ${round(height)}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="system-ui, sans-serif" font-size="13" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<desc>${escaped(description)}</desc>`,
    STYLE,
    `<rect width="100%" height="100%" class="f-back"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

export interface TextStyle {
  readonly anchor?: "start" | "middle" | "end";
  readonly size?: number;
  readonly weight?: number;
  readonly tone?: Tone;
}

/** @param y  the middle of the line */
export function text(x: number, y: number, content: string, o: TextStyle = {}): string {
  const { anchor = "start", size = 13, weight = 400, tone = "ink" } = o;
  const place = `x="${round(x)}" y="${round(y + 0.34 * size)}" text-anchor="${anchor}"`;
  return `<text ${place} font-size="${size}" font-weight="${weight}" class="f-${tone}">${escaped(content)}</text>`;
}

export interface LineStyle {
  readonly width?: number;
  /** Lengths of strokes and gaps: "4 3". */
  readonly dash?: string;
  /** 0 to 1. */
  readonly opacity?: number;
}

export type Point = readonly [x: number, y: number];

export function line(points: readonly Point[], tone: Tone, { width = 1, dash, opacity }: LineStyle = {}): string {
  const path = points.map(([x, y]) => `${round(x)},${round(y)}`).join(" ");
  const more = `${dash === undefined ? "" : ` stroke-dasharray="${dash}"`}${opacity === undefined ? "" : ` opacity="${opacity}"`}`;
  return `<polyline points="${path}" class="s-${tone}" stroke-width="${width}"${more}/>`;
}

export const horizontal = (x1: number, x2: number, y: number, tone: Tone, style?: LineStyle): string =>
  line(
    [
      [x1, y],
      [x2, y],
    ],
    tone,
    style,
  );

export const vertical = (x: number, y1: number, y2: number, tone: Tone, style?: LineStyle): string =>
  line(
    [
      [x, y1],
      [x, y2],
    ],
    tone,
    style,
  );

export const dot = ([x, y]: Point, radius: number, tone: Tone): string =>
  `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" class="f-${tone}"/>`;

export const box = ([x, y]: Point, width: number, height: number, tone: Tone): string =>
  `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="2" class="f-${tone}"/>`;

/** Parts that belong together; a viewer shows the title beside the pointer. */
export const titled = (title: string, parts: readonly string[]): string =>
  `<g><title>${escaped(title)}</title>${parts.join("")}</g>`;

export interface Axis {
  readonly low: number;
  readonly high: number;
  /** Round numbers between them. */
  readonly ticks: readonly number[];
  /** Decimals that tell the ticks apart. */
  readonly decimals: number;
}

/** An axis with room at both ends. */
export function axis(least: number, most: number): Axis {
  const room = most > least ? 0.06 * (most - least) : 0.01 + 0.05 * Math.abs(most);
  const [low, high] = [least - room, most + room];
  const rough = (high - low) / 6;
  const power = Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * 10 ** power).find((candidate) => candidate >= rough)!;
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
  return { low, high, ticks, decimals: Math.max(0, -power) };
}

/** Where a value lies on an axis that is drawn from one pixel to another. */
export const along = ({ low, high }: Axis, from: number, to: number) => {
  return (value: number): number => from + ((to - from) * (value - low)) / (high - low);
};

const round = (n: number): number => Math.round(10 * n) / 10;

const escaped = (content: string): string =>
  content.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
