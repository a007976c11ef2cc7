/** The second step of a tokenizer: where a text is cut into words. One entry a "type" of tokenizer.json. */
import { toByteCharacters } from "./byte-level.js";
import { type Component, escapeRegExp } from "./component.js";
import { type Behavior, cutPiece, type Piece } from "./piece.js";

export type PreTokenizer = (pieces: readonly Piece[]) => readonly Piece[];

export const preTokenizers: Readonly<Record<string, (part: Component) => PreTokenizer>> = {
  Sequence: (part) => {
    const steps = part.parts("pretokenizers", preTokenizers);
    return (pieces) => steps.reduce((out, step) => step(out), pieces);
  },
  BertPreTokenizer: () => (pieces) => cutting(PUNCTUATION, "Isolated")(cutting(SPACE, "Removed")(pieces)),
  Whitespace: () => cutting(WORDS, "Removed", true),
  WhitespaceSplit: () => cutting(SPACE, "Removed"),
  CharDelimiterSplit: (part) => cutting(new RegExp(escapeRegExp(part.text("delimiter")), "gu"), "Removed"),
  Punctuation: (part) => cutting(PUNCTUATION, behaviorOf(part, "Isolated")),
  Digits: (part) => cutting(NUMERALS, part.boolean("individual_digits", false) ? "Isolated" : "Contiguous"),
  Split: (part) => cutting(part.pattern("pattern"), behaviorOf(part), part.boolean("invert", false)),
  FixedLength: (part) => cutting(new RegExp(`[^]{${part.natural("length", 5)}}`, "gu"), "Isolated"),
  Metaspace: metaspace,
  ByteLevel: byteLevel,
};

const SPACE = /\p{White_Space}/gu;
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu;
/** Every kind: ½ ² Ⅷ too. */
const NUMERALS = /[\p{Nd}\p{Nl}\p{No}]/gu;
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const WORDS = new RegExp(`[${WORD}]+|[^${WORD}\\p{White_Space}]+`, "gu");
const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

const cutting =
  (pattern: RegExp, behavior: Behavior, invert = false): PreTokenizer =>
  (pieces) =>
    pieces.flatMap((piece) => cutPiece(piece, pattern, behavior, invert));

const behaviorOf = (part: Component, fallback?: Behavior): Behavior =>
  part.choice<Behavior>("behavior", fallback, {
    Removed: "Removed",
    Isolated: "Isolated",
    Contiguous: "Contiguous",
    MergedWithPrevious: "MergedWithPrevious",
    MergedWithNext: "MergedWithNext",
  });

function metaspace(part: Component): PreTokenizer {
  const mark = part.text("replacement", "▁");
  const scheme = part.boolean("add_prefix_space", true)
    ? part.choice("prepend_scheme", "always", { always: "always", first: "first", never: "never" } as const)
    : "never";
  const cut = part.boolean("split", true) ? cutting(new RegExp(escapeRegExp(mark), "gu"), "MergedWithNext") : undefined;
  return (pieces) => {
    const marked = pieces.map(({ text, first }) => {
      const replaced = text.replaceAll(" ", mark);
      const prefixed = !replaced.startsWith(mark) && (scheme === "always" || (scheme === "first" && first));
      return { text: prefixed ? mark + replaced : replaced, first };
    });
    return cut ? cut(marked) : marked;
  };
}

function byteLevel(part: Component): PreTokenizer {
  const prefix = part.boolean("add_prefix_space", true);
  const cut = part.boolean("use_regex", true) ? cutting(GPT2, "Isolated") : undefined;
  return (pieces) => {
    const prefixed = prefix
      ? pieces.map((piece) => (piece.text.startsWith(" ") ? piece : { ...piece, text: ` ${piece.text}` }))
      : pieces;
    return (cut ? cut(prefixed) : prefixed).map(({ text, first }) => ({ text: toByteCharacters(text), first }));
  };
}
