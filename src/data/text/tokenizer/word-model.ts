import type { Component } from "./component.js";

/** The third step of a tokenizer: the tokens of a word. */
export interface WordModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** @throws {Error} if a piece of the word is no token and there is no token for the unknown */
  encode(word: string): readonly number[];
}

/** Above all vocabularies that there are, and small enough for arithmetic on pairs of ids. */
export const LARGEST_ID = 2 ** 26;

/** The tokens of a "vocab" object, with their ids. */
export function checkVocabularyMap(part: Component): Map<string, number> {
  const vocabulary = new Map<string, number>();
  const object = part.raw("vocab");
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    part.refuse("vocab", "an object of tokens and their ids is expected");
    return vocabulary;
  }
  for (const [token, id] of Object.entries(object)) {
    if (!Number.isSafeInteger(id) || id < 0 || id >= LARGEST_ID) {
      part.refuse("vocab", `the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}; a natural number is expected`);
      break;
    }
    vocabulary.set(token, id);
  }
  return vocabulary;
}

/** A text that may be absent. */
export const optionalText = (part: Component, key: string): string | undefined =>
  part.has(key) ? part.text(key) : undefined;

const encoder = new TextEncoder();

/** The tokens <0x00> … <0xFF> of a text's UTF-8 bytes; undefined if one is missing. */
export function byteTokens(vocabulary: ReadonlyMap<string, number>, text: string): number[] | undefined {
  const ids: number[] = [];
  for (const byte of encoder.encode(text)) {
    const id = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}
