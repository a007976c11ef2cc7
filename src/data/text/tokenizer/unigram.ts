import type { Component } from "./component.js";
import { byteTokens, type WordModel } from "./word-model.js";

/** How much worse an unknown character is than the worst token. */
const UNKNOWN_PENALTY = 10;

/**
 * SentencePiece's unigram model: of all ways to cut a word into tokens the one of the largest sum of scores (Viterbi).
 * Unknown characters in a row are one unknown token, or the tokens of their bytes (byte_fallback).
 * @see Kudo, 2018, arXiv:1804.10959; tokenizers/src/models/unigram of Hugging Face
 */
export function unigram(part: Component): WordModel {
  const vocabulary = new Map<string, number>();
  const { scores, unknownScore } = readScores(part, vocabulary);
  const unknownId = part.has("unk_id") ? part.natural("unk_id", undefined, 0) : undefined;
  const byteFallback = part.boolean("byte_fallback", false);
  if (unknownId !== undefined && unknownId >= scores.length) part.refuse("unk_id", "is not in the vocabulary");

  // The longest token that begins with a UTF-16 unit, in units: how far a search goes.
  const longest = new Map<number, number>();
  for (const token of vocabulary.keys()) {
    const unit = token.charCodeAt(0);
    longest.set(unit, Math.max(longest.get(unit) ?? 0, token.length));
  }

  /** The ends of the tokens that the best path cuts the word into; an end is negative where the token is unknown. */
  function bestPath(word: string): { starts: Int32Array; unknown: Uint8Array } {
    const size = word.length;
    const best = new Float64Array(size + 1);
    const starts = new Int32Array(size + 1).fill(-1); // of the token that ends here on the best path
    const unknown = new Uint8Array(size + 1);
    const offer = (start: number, end: number, score: number, isUnknown: boolean): void => {
      const candidate = best[start]! + score;
      if (starts[end]! >= 0 && candidate <= best[end]!) return;
      best[end] = candidate;
      starts[end] = start;
      unknown[end] = isUnknown ? 1 : 0;
    };
    for (let start = 0, step = 1; start < size; start += step) {
      step = word.codePointAt(start)! > 0xffff ? 2 : 1;
      const limit = Math.min(size, start + (longest.get(word.charCodeAt(start)) ?? 0));
      let single = false;
      for (let end = start + step; end <= limit; end++) {
        const id = vocabulary.get(word.slice(start, end));
        if (id === undefined) continue;
        offer(start, end, scores[id]!, id === unknownId);
        if (end === start + step) single = true;
      }
      if (!single) offer(start, start + step, unknownScore, true);
    }
    return { starts, unknown };
  }

  return {
    vocabulary,
    encode(word) {
      const { starts, unknown } = bestPath(word);
      const texts: string[] = [];
      for (let end = word.length; end > 0; ) {
        let start = starts[end]!;
        if (unknown[end] && unknownId !== undefined) while (start > 0 && unknown[start]) start = starts[start]!;
        texts.push(word.slice(start, end));
        end = start;
      }
      return texts.reverse().flatMap((text) => {
        const id = vocabulary.get(text);
        if (id !== undefined) return [id];
        const bytes = byteFallback ? byteTokens(vocabulary, text) : undefined;
        if (bytes) return bytes;
        if (unknownId === undefined)
          throw new Error(`${JSON.stringify(text)} is no token, and there is no unknown token`);
        return [unknownId];
      });
    },
  };
}

function readScores(
  part: Component,
  vocabulary: Map<string, number>,
): { readonly scores: Float64Array; readonly unknownScore: number } {
  const list = part.list("vocab");
  const scores = new Float64Array(list.length);
  for (const [id, entry] of list.entries()) {
    const [token, score] = Array.isArray(entry) ? entry : [];
    if (typeof token !== "string" || typeof score !== "number") {
      part.refuse("vocab", `entry ${id} is no token with its score: ${JSON.stringify(entry)}`);
      break;
    }
    vocabulary.set(token, id);
    scores[id] = score;
  }
  const least = scores.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  return { scores, unknownScore: least - UNKNOWN_PENALTY };
}
