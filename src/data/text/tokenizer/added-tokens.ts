import type { Component } from "./component.js";
import { escapeRegExp } from "./component.js";
import { type Normalizer, SPACE_AT_END } from "./normalizers.js";
import type { Piece } from "./piece.js";
import { LARGEST_ID } from "./word-model.js";

/** A token that is found in the text before anything else is done: special ones, and those added later. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly normalized: boolean;
  readonly singleWord: boolean;
  readonly stripLeft: boolean;
  readonly stripRight: boolean;
}

export const readAddedToken = (part: Component): AddedToken => ({
  id: readId(part),
  content: part.text("content"),
  special: part.boolean("special", false),
  normalized: part.boolean("normalized", !part.boolean("special", false)),
  singleWord: part.boolean("single_word", false),
  stripLeft: part.boolean("lstrip", false),
  stripRight: part.boolean("rstrip", false),
});

function readId(part: Component): number {
  const id = part.natural("id", undefined, 0);
  if (id >= LARGEST_ID) part.refuse("id", `${id} is larger than any vocabulary`);
  return Math.min(id, LARGEST_ID);
}

/** What a text is cut into: text to go on with, or the id of an added token. */
export type Section = Piece | number;

/**
 * Cuts texts at added tokens: first at those that are looked for in the text as it is, then, when the normalizer has run
 * on the rest, at the others. Of tokens that begin at the same place the longest counts.
 */
export function sectioner(tokens: readonly AddedToken[], normalize: Normalizer): (text: string) => Section[] {
  const find = (normalized: boolean): ((piece: Piece) => Section[]) => {
    const found = new Map<string, AddedToken>();
    for (const token of tokens) {
      const text = normalized ? normalize(token.content) : token.content;
      if (token.normalized === normalized && text !== "" && !found.has(text)) found.set(text, token);
    }
    if (found.size === 0) return (piece) => (piece.text === "" ? [] : [piece]);
    const longestFirst = [...found.keys()].sort((a, b) => b.length - a.length);
    const pattern = new RegExp(longestFirst.map(escapeRegExp).join("|"), "g");
    return (piece) => cutAtTokens(piece, pattern, found);
  };
  const findRaw = find(false);
  const findNormalized = find(true);
  return (text) =>
    findRaw({ text, first: true }).flatMap((section) =>
      typeof section === "number" ? [section] : findNormalized({ ...section, text: normalize(section.text) }),
    );
}

const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const WORD_AT_END = new RegExp(`${WORD}$`, "u");
const WORD_AT_START = new RegExp(`^${WORD}`, "u");

function cutAtTokens({ text, first }: Piece, pattern: RegExp, tokens: ReadonlyMap<string, AddedToken>): Section[] {
  const sections: Section[] = [];
  let done = 0;
  const addText = (end: number): void => {
    if (end > done) sections.push({ text: text.slice(done, end), first: first && done === 0 });
  };
  for (const { 0: content, index } of text.matchAll(pattern)) {
    const token = tokens.get(content)!;
    const before = text.slice(0, index);
    const after = text.slice(index + content.length);
    if (token.singleWord && (WORD_AT_END.test(before) || WORD_AT_START.test(after))) continue;
    const start = token.stripLeft ? before.replace(SPACE_AT_END, "").length : index;
    addText(Math.max(start, done));
    sections.push(token.id);
    done = text.length - (token.stripRight ? after.replace(/^\p{White_Space}+/u, "") : after).length;
  }
  addText(text.length);
  return sections;
}
