/** A stretch of text on its way to tokens. */
export interface Piece {
  readonly text: string;
  /** It begins where the whole text begins. */
  readonly first: boolean;
}

/** What becomes of the matches of a pattern when a text is cut at them. */
export type Behavior = "Removed" | "Isolated" | "Contiguous" | "MergedWithPrevious" | "MergedWithNext";

interface Span {
  readonly start: number;
  readonly end: number;
  readonly match: boolean;
}

/**
 * Cuts a piece at the matches of a pattern.
 * @param invert what lies between the matches counts as a match
 * @see NormalizedString::split of Hugging Face tokenizers
 */
export function cutPiece({ text, first }: Piece, pattern: RegExp, behavior: Behavior, invert = false): Piece[] {
  const pieces: Piece[] = [];
  for (const { start, end } of behaviors[behavior](spansOf(text, pattern, invert)))
    pieces.push({ text: text.slice(start, end), first: first && start === 0 });
  return pieces;
}

/** Matches, and what lies between them, from the beginning to the end. */
function spansOf(text: string, pattern: RegExp, invert: boolean): Span[] {
  const spans: Span[] = [];
  let done = 0;
  const add = (end: number, match: boolean): void => {
    if (end > done) spans.push({ start: done, end, match: match !== invert });
    done = end;
  };
  for (const found of text.matchAll(pattern)) {
    add(found.index, false);
    add(found.index + found[0].length, true);
  }
  add(text.length, false);
  return spans;
}

const behaviors: Readonly<Record<Behavior, (spans: readonly Span[]) => readonly Span[]>> = {
  Removed: (spans) => spans.filter(({ match }) => !match),
  Isolated: (spans) => spans,
  Contiguous: (spans) => joined(spans, (before, here) => before.match === here.match),
  // The first of several matches in a row alone joins its neighbour.
  MergedWithPrevious: (spans) => joined(spans, (before, here) => here.match && !before.match),
  MergedWithNext: (spans) => joinedBackwards(spans, (here, after) => here.match && !after.match),
};

function joined(spans: readonly Span[], join: (before: Span, here: Span) => boolean): Span[] {
  const out: Span[] = [];
  spans.forEach((span, i) => {
    const last = out.at(-1);
    if (last && join(spans[i - 1]!, span)) out[out.length - 1] = { ...last, end: span.end };
    else out.push(span);
  });
  return out;
}

function joinedBackwards(spans: readonly Span[], join: (here: Span, after: Span) => boolean): Span[] {
  const out: Span[] = [];
  for (let i = spans.length - 1; i >= 0; i--) {
    const span = spans[i]!;
    const last = out.at(-1);
    if (last && join(span, spans[i + 1]!)) out[out.length - 1] = { ...last, start: span.start };
    else out.push(span);
  }
  return out.reverse();
}
