import type { Component } from "./component.js";
import { byteTokens, checkVocabularyMap, optionalText, type WordModel } from "./word-model.js";

/**
 * Byte-pair encoding: the characters of a word, joined pair by pair, the pair that was learned first before all others.
 *
 * A character that is no token becomes the tokens of its bytes (byte_fallback), the unknown token, or *nothing*, all
 * before any pair is joined, so that what stood on both sides of it may be joined.
 * @see tokenizers/src/models/bpe of Hugging Face
 */
export function bpe(part: Component): WordModel {
  const vocabulary = checkVocabularyMap(part);
  const unknown = optionalText(part, "unk_token");
  const prefix = optionalText(part, "continuing_subword_prefix") ?? "";
  const suffix = optionalText(part, "end_of_word_suffix") ?? "";
  const fuseUnknown = part.boolean("fuse_unk", false);
  const byteFallback = part.boolean("byte_fallback", false);
  const ignoreMerges = part.boolean("ignore_merges", false);
  const unknownId = unknown === undefined ? undefined : vocabulary.get(unknown);
  const merges = readMerges(part, vocabulary, prefix);

  function symbolsOf(word: string): number[] {
    const symbols: number[] = [];
    let held = 0; // unknown characters that are not written yet
    const characters = Array.from(word);
    characters.forEach((character, i) => {
      const text = (i > 0 ? prefix : "") + character + (i === characters.length - 1 ? suffix : "");
      const id = vocabulary.get(text);
      if (id !== undefined) {
        for (; held > 0; held--) symbols.push(unknownId!);
        symbols.push(id);
        return;
      }
      const bytes = byteFallback ? byteTokens(vocabulary, text) : undefined;
      if (bytes) symbols.push(...bytes);
      else if (unknownId !== undefined) held = fuseUnknown ? 1 : held + 1;
      else if (unknown !== undefined) throw new Error(`the unknown token ${unknown} is not in the vocabulary`);
    });
    for (; held > 0; held--) symbols.push(unknownId!);
    return symbols;
  }

  return {
    vocabulary,
    encode(word) {
      const whole = ignoreMerges ? vocabulary.get(word) : undefined;
      return whole === undefined ? mergeAll(symbolsOf(word), merges) : [whole];
    },
  };
}

interface Merges {
  /** The rank of a pair of ids, by {@link pairKey}. */
  readonly ranks: ReadonlyMap<number, number>;
  /** What the pair of each rank becomes. */
  readonly joined: Int32Array;
}

/** Ids stay below 2²⁶, so that a pair fits in a number. */
const pairKey = (left: number, right: number): number => left * 2 ** 26 + right;

function readMerges(part: Component, vocabulary: ReadonlyMap<string, number>, prefix: string): Merges {
  const list = part.list("merges");
  const ranks = new Map<number, number>();
  const joined = new Int32Array(list.length);
  let wrong = 0;
  list.forEach((entry, rank) => {
    const [left, right, more] = typeof entry === "string" ? entry.split(" ") : Array.isArray(entry) ? entry : [];
    const a = vocabulary.get(left);
    const b = vocabulary.get(right);
    const both = typeof right === "string" ? vocabulary.get(left + right.slice(prefix.length)) : undefined;
    if (a === undefined || b === undefined || both === undefined || more !== undefined) {
      if (wrong++ === 0)
        part.refuse("merges", `entry ${rank} is no pair of tokens whose join is a token: ${JSON.stringify(entry)}`);
      return;
    }
    ranks.set(pairKey(a, b), rank);
    joined[rank] = both;
  });
  return { ranks, joined };
}

/** Joins pairs, the lowest rank first and the leftmost of its places, until none is left. */
function mergeAll(symbols: number[], { ranks, joined }: Merges): number[] {
  const count = symbols.length;
  if (count < 2) return symbols;
  // A list through the places that are still in use; `next` of the last is `count`.
  const next = Int32Array.from(symbols, (_, i) => i + 1);
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const gone = new Uint8Array(count);
  const queue = new Heap();
  const offer = (place: number): void => {
    const right = next[place]!;
    if (right >= count) return;
    const rank = ranks.get(pairKey(symbols[place]!, symbols[right]!));
    if (rank !== undefined) queue.push(rank * count + place);
  };
  for (let i = 0; i + 1 < count; i++) offer(i);
  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
    const place = entry % count;
    const rank = (entry - place) / count;
    const right = next[place]!;
    if (gone[place] || right >= count) continue;
    // The pair may have changed since it was offered.
    const now = ranks.get(pairKey(symbols[place]!, symbols[right]!));
    if (now === undefined || joined[now] !== joined[rank]) continue;
    symbols[place] = joined[rank]!;
    gone[right] = 1;
    next[place] = next[right]!;
    if (next[place]! < count) previous[next[place]!] = place;
    if (previous[place]! >= 0) offer(previous[place]!);
    offer(place);
  }
  return symbols.filter((_, i) => !gone[i]);
}

/** A binary heap of numbers, the smallest first. */
class Heap {
  readonly #items: number[] = [];

  push(item: number): void {
    const items = this.#items;
    let at = items.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]! <= item) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let at = 0;
    for (let child = 1; child < items.length; child = 2 * at + 1) {
      if (child + 1 < items.length && items[child + 1]! < items[child]!) child++;
      if (items[child]! >= last) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
