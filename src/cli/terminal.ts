/** What a stream can show, and text that is measured and coloured for it. */

/** As much of a Node stream as the commands use. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface Terminal {
  /** A line can be drawn over: not a file, a pipe or a dumb terminal. */
  readonly live: boolean;
  readonly paint: Paint;
  /** Columns now: a window may change its size. */
  width(): number;
}

export type Style = keyof typeof CODES;
/** Text in a style; as it is where there are no colours. */
export type Paint = (style: Style, text: string) => string;

type Environment = Readonly<Record<string, string | undefined>>;

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
} as const;

/** @see https://no-color.org for NO_COLOR: any text in it, and there are no colours */
export function terminalOf(stream: OutputStream, env: Environment): Terminal {
  const live = stream.isTTY === true && env["TERM"] !== "dumb";
  return {
    live,
    paint: live && !env["NO_COLOR"] ? colours : plain,
    width: () => stream.columns || 80,
  };
}

export const plain: Paint = (_, text) => text;
export const colours: Paint = (style, text) => `\x1b[${CODES[style][0]}m${text}\x1b[${CODES[style][1]}m`;

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u;
const characters = new Intl.Segmenter("en", { granularity: "grapheme" });

const widthOfCharacter = (character: string): number => (WIDE.test(character) ? 2 : 1);

/** Columns that a text takes: accents take none of their own, CJK characters and emoji two, colours none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of characters.segment(text.replace(COLOUR, ""))) width += widthOfCharacter(segment);
  return width;
}

/** A text without colours, cut to a number of columns. */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let cut = "";
  let used = 1; // of the ellipsis
  for (const { segment } of characters.segment(text)) {
    used += widthOfCharacter(segment);
    if (used > width) break;
    cut += segment;
  }
  return `${cut}…`;
}

export function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "left" ? text + space : space + text;
}
