import { bpe } from "./bpe.js";
import type { Component } from "./component.js";
import { unigram } from "./unigram.js";
import { checkVocabularyMap, type WordModel } from "./word-model.js";

/** One entry a "type" of tokenizer.json. */
export const wordModels: Readonly<Record<string, (part: Component) => WordModel>> = {
  BPE: bpe,
  Unigram: unigram,
  WordPiece: wordPiece,
  WordLevel: wordLevel,
};

/** The type that an old file leaves out, from what the model holds. */
export function modelType(part: Component): string {
  if (part.type !== "") return part.type;
  if (part.has("merges")) return "BPE";
  if (Array.isArray(part.raw("vocab"))) return "Unigram";
  return part.has("continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

/** BERT's: at each place the longest token that fits; a word that cannot be put together is unknown as a whole. */
function wordPiece(part: Component): WordModel {
  const vocabulary = checkVocabularyMap(part);
  const prefix = part.text("continuing_subword_prefix", "##");
  const longest = part.natural("max_input_chars_per_word", 100);
  const unknown = unknownOf(part, vocabulary);
  return {
    vocabulary,
    encode(word) {
      const characters = Array.from(word);
      if (characters.length > longest) return [unknown];
      const ids: number[] = [];
      for (let start = 0; start < characters.length; ) {
        let end = characters.length;
        let id: number | undefined;
        for (; end > start; end--) {
          const text = characters.slice(start, end).join("");
          id = vocabulary.get(start > 0 ? prefix + text : text);
          if (id !== undefined) break;
        }
        if (id === undefined) return [unknown];
        ids.push(id);
        start = end;
      }
      return ids;
    },
  };
}

function wordLevel(part: Component): WordModel {
  const vocabulary = checkVocabularyMap(part);
  const unknown = unknownOf(part, vocabulary);
  return { vocabulary, encode: (word) => [vocabulary.get(word) ?? unknown] };
}

function unknownOf(part: Component, vocabulary: ReadonlyMap<string, number>): number {
  const token = part.text("unk_token", "[UNK]");
  const id = vocabulary.get(token);
  if (id === undefined) part.refuse("unk_token", `${JSON.stringify(token)} is not in the vocabulary`);
  return id ?? 0;
}
