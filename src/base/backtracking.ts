/**
 * Whether an expression is fit for texts of any length. JavaScript tries the ways in which an expression may match one after
 * another, and nothing can interrupt it: "(a+)+$" has 2ⁿ ways to fail on n times "a" and a "b".
 */

/** A bound of the ways that are tried from one place of a text of n characters: count · n^power. */
export interface Ways {
  readonly count: number;
  readonly power: number;
}

/** `one`: what matches in one way or not at all; a character, a class, an assertion, a reference. */
type Item =
  | { readonly kind: "one" }
  | { readonly kind: "group"; readonly alternatives: readonly Sequence[] }
  /** Looks ahead or behind; what it has found once is not looked for in another way. */
  | { readonly kind: "look"; readonly alternatives: readonly Sequence[] }
  | { readonly kind: "repeat"; readonly body: Item; readonly min: number; readonly max: number };
type Sequence = readonly Item[];

/** Those of all tokenizers that we know stay below 120. */
const MOST_WAYS = 1000;
const OF_TEXTS: Ways = { count: MOST_WAYS, power: 1 };
/** One way: that of an empty text. */
const ONE: Ways = { count: 1, power: 0 };
const ENDLESS: Ways = { count: 1, power: Number.POSITIVE_INFINITY };
/** Real ones have 3 groups in each other at most. */
const DEEPEST = 50;

/**
 * Whether matching takes time in proportion to the square of a text's length at most: from each place at most 1,000 · n
 * ways are tried. What nothing follows that can fail is never tried another way. In front of something that can fail one
 * repetition without a limit may stand, and what it repeats must match in a single way: a coarse bound, which refuses some
 * harmless expressions too.
 *
 * @param source  of an expression that JavaScript accepts, in its Unicode mode
 * @param most    more ways than from each place of a text, for what is short
 */
export function isBounded(source: string, most: Ways = OF_TEXTS): boolean {
  const alternatives = parse(source);
  if (!alternatives) return false;
  const { count, power } = waysOfAlternatives(alternatives, false);
  return count <= most.count && power <= most.power;
}

/** @param failing  whether what follows can fail, so that other ways are tried */
const waysOfAlternatives = (alternatives: readonly Sequence[], failing: boolean): Ways =>
  alternatives
    .map((sequence) => waysOfSequence(sequence, failing))
    .reduce((a, b) => ({ count: a.count + b.count, power: Math.max(a.power, b.power) }));

function waysOfSequence(sequence: Sequence, failing: boolean): Ways {
  let ways = ONE;
  let fails = failing;
  for (const item of sequence.toReversed()) {
    ways = product(ways, waysOfItem(item, fails));
    fails ||= canFail(item);
  }
  return ways;
}

function waysOfItem(item: Item, failing: boolean): Ways {
  if (item.kind === "one") return ONE;
  if (item.kind === "group") return waysOfAlternatives(item.alternatives, failing);
  if (item.kind === "look") return waysOfAlternatives(item.alternatives, false);
  const { body, min, max } = item;
  if (max <= 1) return sum(waysOfItem(body, failing), ONE);
  // Where nothing behind it can fail, neither can the next time round: then it was the last.
  const inside = waysOfItem(body, failing || min > 1);
  const single = inside.count === 1 && inside.power === 0;
  if (max - min > MOST_WAYS) {
    if (single) return { count: 1, power: failing ? 1 : 0 };
    return failing || min > 1 || inside.power > 0 ? ENDLESS : { ...inside, power: 1 };
  }
  if (single) return { count: failing ? max - min + 1 : 1, power: 0 };
  return { count: inside.count ** max * (max - min + 1), power: inside.power * max };
}

const product = (a: Ways, b: Ways): Ways => ({ count: a.count * b.count, power: a.power + b.power });
const sum = (a: Ways, b: Ways): Ways => ({ count: a.count + b.count, power: Math.max(a.power, b.power) });

function canFail(item: Item): boolean {
  if (item.kind === "one" || item.kind === "look") return true;
  if (item.kind === "repeat") return item.min > 0 && canFail(item.body);
  return item.alternatives.every((sequence) => sequence.some(canFail));
}

const SINGLE = /\\[pPu]\{[^}]*\}|\\.|\[(?:\\.|[^\\\]])*\]|[^()|]/suy;
const OPENING = /\((?:\?(?:<?[=!]|<[^>]*>|[a-z-]*:))?/uy;
const QUANTIFIER = /([*+?]|\{(\d+)(,(\d*))?\})\??/uy;

/** undefined where groups are nested too deep. */
function parse(source: string): readonly Sequence[] | undefined {
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(source) ?? undefined;
    at += found?.[0].length ?? 0;
    return found;
  };
  /** Up to the end or a ")". */
  function alternatives(depth: number): Sequence[] | undefined {
    if (depth > DEEPEST) return undefined;
    let sequence: Item[] = [];
    const all = [sequence];
    while (at < source.length && source[at] !== ")") {
      if (source[at] === "|") {
        at++;
        sequence = [];
        all.push(sequence);
        continue;
      }
      const item = single(depth);
      if (!item) return undefined;
      sequence.push(quantified(item));
    }
    return all;
  }
  function single(depth: number): Item | undefined {
    const opening = take(OPENING);
    if (!opening) return take(SINGLE) && { kind: "one" };
    const inner = alternatives(depth + 1);
    at++; // the ")"
    return inner && { kind: /[=!]$/.test(opening[0]) ? "look" : "group", alternatives: inner };
  }
  function quantified(body: Item): Item {
    const found = take(QUANTIFIER);
    if (!found) return body;
    const [, sign, from, comma, to] = found;
    const [min, max] =
      from === undefined
        ? [sign === "+" ? 1 : 0, sign === "?" ? 1 : Number.POSITIVE_INFINITY]
        : [Number(from), comma === undefined ? Number(from) : to ? Number(to) : Number.POSITIVE_INFINITY];
    return { kind: "repeat", body, min, max };
  }
  return alternatives(0);
}
