/** The first step of a tokenizer: what a text is changed to before it is cut. One entry a "type" of tokenizer.json. */
import { GloraError } from "../../../base/errors.js";
import { toByteCharacters } from "./byte-level.js";
import type { Component } from "./component.js";
import { precompiled } from "./precompiled.js";

export type Normalizer = (text: string) => string;

export const normalizers: Readonly<Record<string, (part: Component) => Normalizer>> = {
  Sequence: (part) => {
    const steps = part.parts("normalizers", normalizers);
    return (text) => steps.reduce((out, step) => grownFrom(text, step(out)), text);
  },
  NFC: () => (text) => text.normalize("NFC"),
  NFD: () => (text) => text.normalize("NFD"),
  NFKC: () => (text) => text.normalize("NFKC"),
  NFKD: () => (text) => text.normalize("NFKD"),
  Lowercase: () => lowercase,
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ""),
  Strip: (part) => {
    const [left, right] = [part.boolean("strip_left", true), part.boolean("strip_right", true)];
    return (text) => {
      const rest = left ? text.replace(/^\p{White_Space}+/u, "") : text;
      return right ? rest.replace(SPACE_AT_END, "") : rest;
    };
  },
  Prepend: (part) => {
    const prefix = part.text("prepend");
    return (text) => (text === "" ? "" : prefix + text);
  },
  Replace: (part) => {
    const [pattern, content] = [part.pattern("pattern"), part.text("content")];
    return (text) => text.replace(pattern, () => content); // "$" means itself
  },
  ByteLevel: () => toByteCharacters,
  Nmt: () => (text) => text.replace(NMT_REMOVED, "").replace(NMT_SPACES, " "),
  Precompiled: (part) => {
    const normalize = part.has("precompiled_charsmap") ? precompiled(part.text("precompiled_charsmap")) : same;
    if (normalize === undefined) part.refuse("precompiled_charsmap", "the table is damaged");
    return normalize ?? same;
  },
  BertNormalizer: bert,
};

/** A file of a few lines could have a text doubled without end. @throws {GloraError} FILE */
function grownFrom(text: string, out: string): string {
  if (out.length <= 1000 + 100 * text.length) return out;
  throw new GloraError(
    "FILE",
    `the normalizer of tokenizer.json makes ${out.length} characters of ${text.length}, and more with each step. No tokenizer ` +
      "that we know needs that; is the file what it should be?",
    { characters: text.length, actual: out.length },
  );
}

/** Tried at the beginning of each white space alone: without that, a long one inside a text takes the square of its length. */
export const SPACE_AT_END = /(?<!\p{White_Space})\p{White_Space}+$/u;

const same: Normalizer = (text) => text;

// Character by character: at the end of a word Σ is σ too.
const lowercase: Normalizer = (text) => text.replaceAll("Σ", "σ").toLowerCase();

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
const NMT_REMOVED = /[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g;
const NMT_SPACES = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;

function bert(part: Component): Normalizer {
  const lower = part.boolean("lowercase", true);
  const steps: Normalizer[] = [];
  if (part.boolean("clean_text", true))
    steps.push((text) => text.replace(BERT_REMOVED, "").replace(/\p{White_Space}/gu, " "));
  if (part.boolean("handle_chinese_chars", true)) steps.push((text) => text.replace(CHINESE, " $& "));
  if (part.boolean("strip_accents", lower)) steps.push((text) => text.normalize("NFD").replace(/\p{Mn}/gu, ""));
  if (lower) steps.push(lowercase);
  return (text) => steps.reduce((out, step) => step(out), text);
}

const BERT_REMOVED = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu;
const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
