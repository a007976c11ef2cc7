/** The way back: tokens to text. One entry a "type" of tokenizer.json. */
import { fromByteCharacters } from "./byte-level.js";
import type { Component } from "./component.js";

/** The texts of tokens, changed each or put together; joined they are the text. */
export type Decoder = (tokens: readonly string[]) => readonly string[];

export const decoders: Readonly<Record<string, (part: Component) => Decoder>> = {
  Sequence: (part) => {
    const steps = part.parts("decoders", decoders);
    return (tokens) => steps.reduce((out, step) => step(out), tokens);
  },
  ByteLevel: () => (tokens) => [fromByteCharacters(tokens)],
  ByteFallback: () => byteFallback,
  Fuse: () => (tokens) => [tokens.join("")],
  Replace: (part) => {
    const [pattern, content] = [part.pattern("pattern"), part.text("content")];
    return (tokens) => tokens.map((token) => token.replace(pattern, () => content));
  },
  Strip: (part) => {
    const content = part.text("content", " ");
    const [start, stop] = [part.natural("start", 0, 0), part.natural("stop", 0, 0)];
    return (tokens) =>
      tokens.map((token) => {
        let [from, to] = [0, token.length];
        while (from < start && token[from] === content) from++;
        while (token.length - to < stop && to > 0 && token[to - 1] === content) to--;
        return token.slice(from, to);
      });
  },
  Metaspace: (part) => {
    const mark = part.text("replacement", "▁");
    const leading = part.text("prepend_scheme", "always") === "never" ? " " : "";
    return (tokens) => tokens.map((token, i) => token.replaceAll(mark, i === 0 ? leading : " "));
  },
  WordPiece: (part) => {
    const prefix = part.text("prefix", "##");
    const clean = part.boolean("cleanup", true) ? cleanUp : (text: string): string => text;
    return (tokens) =>
      tokens.map((token, i) => {
        if (i === 0) return clean(token);
        return clean(token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`);
      });
  },
  BPEDecoder: (part) => {
    const suffix = part.text("suffix", "</w>");
    return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " "));
  },
};

const BYTE = /^<0x([0-9A-Fa-f]{2})>$/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes in a row to text; where they are none, a replacement character for each. */
function byteFallback(tokens: readonly string[]): string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      out.push(utf8.decode(Uint8Array.from(bytes)));
    } catch {
      out.push("\ufffd".repeat(bytes.length));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const [, hex] = BYTE.exec(token) ?? [];
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
}

/** English spaces that tokenizing put in front of punctuation and of contracted words are taken out. */
export const cleanUp = (text: string): string => CLEANED.reduce((out, [from, to]) => out.replaceAll(from, to), text);

const CLEANED: readonly (readonly [string, string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];
