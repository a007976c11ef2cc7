import { GloraError } from "../../base/errors.js";
import type { LanguageContent } from "./language-record.js";
import type { Message, Tokenizer } from "./tokenizer.js";

/** A text as tokens, with those that the loss scores. */
export interface ScoredTokens {
  readonly ids: Int32Array;
  /** Places of the scored tokens, in order; never 0: the first token is not predicted. */
  readonly scored: Int32Array;
}

export interface LanguageOptions {
  readonly lossOn: "answers" | "all";
  readonly maxTokens: number;
}

/** What becomes of a record: one example, more for a long text, none where its answer would be cut away whole. */
export interface LanguageExamples {
  readonly examples: readonly ScoredTokens[];
  /** Tokens that were cut away. */
  readonly cut: number;
}

/**
 * The tokens of a record, and which of them are scored: every answer with its end token. The text is tokenized as a whole;
 * an answer begins behind the tokens that it has in common with the tokenized text in front of it, so that a token that
 * holds the end of a prompt and the beginning of an answer is scored. Padding plays no part in it.
 *
 * Conversations and instructions take the model's chat template; without one, instructions take Alpaca's prompts. A plain
 * text is cut into windows of `maxTokens` that share one token, so that all tokens but the first are scored once.
 *
 * @throws {GloraError} DATA if the chat template refuses, or if what it writes up to an answer is not how it writes the
 *   whole; CONFIG if the tokenizer has no end token, or no template for a conversation
 */
export function languageTokens(content: LanguageContent, tokenizer: Tokenizer, o: LanguageOptions): LanguageExamples {
  if (content.kind === "text") return windows(content.text, tokenizer, o.maxTokens);
  const messages = messagesOf(content, tokenizer);
  const whole = messages
    ? chatTokens(messages, tokenizer)
    : answerTokens(promptOf(content), answerOf(content), tokenizer);
  const all = o.lossOn === "all" ? Int32Array.from(whole.ids.subarray(1), (_, i) => i + 1) : whole.scored;
  const ids = whole.ids.subarray(0, o.maxTokens);
  const scored = all.filter((place) => place < o.maxTokens);
  // With every token scored, what counts is still whether anything of an answer is left.
  const answered = whole.scored.some((place) => place < o.maxTokens);
  return { examples: answered ? [{ ids, scored }] : [], cut: whole.ids.length - ids.length };
}

/** Stanford Alpaca's prompts. @see https://github.com/tatsu-lab/stanford_alpaca/blob/main/train.py */
const alpaca = (instruction: string, input: string): string =>
  input === ""
    ? "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" +
      `### Instruction:\n${instruction}\n\n### Response:`
    : "Below is an instruction that describes a task, paired with an input that provides further context. Write a response " +
      `that appropriately completes the request.\n\n### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:`;

type Answered = Exclude<LanguageContent, { kind: "text" }>;

const promptOf = (content: Answered): string =>
  content.kind === "instruction"
    ? alpaca(content.instruction, content.input)
    : content.kind === "completion"
      ? content.prompt
      : "";

const answerOf = (content: Answered): string => (content.kind === "chat" ? "" : content.answer);

/** The conversation that the chat template writes; undefined where none is to be written. */
function messagesOf(content: Answered, tokenizer: Tokenizer): readonly Message[] | undefined {
  if (content.kind === "chat") return content.messages; // without a template, rendering says so
  if (content.kind === "completion" || !tokenizer.chat) return undefined;
  const { instruction, input, answer } = content;
  return [
    { role: "user", content: input === "" ? instruction : `${instruction}\n\n${input}` },
    { role: "assistant", content: answer },
  ];
}

function answerTokens(prompt: string, answer: string, tokenizer: Tokenizer): ScoredTokens {
  const { eosId } = tokenizer;
  if (eosId === undefined)
    throw new GloraError(
      "CONFIG",
      "the tokenizer has no end token, so that the end of an answer cannot be learned: name one as eos_token in tokenizer_config.json",
    );
  const text = tokenizer.encode(prompt + answer);
  const ids = text.at(-1) === eosId ? text : Int32Array.from([...text, eosId]);
  const start = Math.max(1, commonLength(ids, tokenizer.encode(prompt)));
  return { ids, scored: range(start, ids.length) };
}

function chatTokens(messages: readonly Message[], tokenizer: Tokenizer): ScoredTokens {
  const whole = tokenizer.renderChat(messages);
  const encode = (text: string): Int32Array => tokenizer.encode(text, { special: false }); // the template writes its own
  const ids = encode(whole);
  const scored: number[] = [];
  messages.forEach(({ role }, i) => {
    if (role !== "assistant") return;
    const before = tokenizer.renderChat(messages.slice(0, i), { addGenerationPrompt: true });
    const upTo = tokenizer.renderChat(messages.slice(0, i + 1));
    for (const part of [before, upTo])
      if (!whole.startsWith(part))
        throw new GloraError(
          "DATA",
          `turn ${i + 1}: the chat template writes the conversation up to here otherwise than within the whole, so that ` +
            `the answer cannot be told from the rest: ${difference(part, whole)}`,
        );
    const start = Math.max(1, commonLength(ids, encode(before)));
    const end = upTo === whole ? ids.length : commonLength(ids, encode(upTo));
    scored.push(...range(start, endOfTurn(ids, start, end, tokenizer)));
  });
  return { ids, scored: Int32Array.from(scored) };
}

/** Where a turn ends: behind its end token, where white space alone follows that. */
function endOfTurn(ids: Int32Array, start: number, end: number, tokenizer: Tokenizer): number {
  for (let at = end - 1; at > start; at--) {
    if (tokenizer.isSpecial(ids[at]!)) return at + 1;
    if (tokenizer.decode([ids[at]!]).trim() !== "") break;
  }
  return end;
}

function difference(part: string, whole: string): string {
  let at = 0;
  while (at < part.length && part[at] === whole[at]) at++;
  return `${JSON.stringify(part.slice(at, at + 30))} against ${JSON.stringify(whole.slice(at, at + 30))}`;
}

function windows(text: string, tokenizer: Tokenizer, maxTokens: number): LanguageExamples {
  const { eosId } = tokenizer;
  const encoded = tokenizer.encode(text);
  const ids = eosId === undefined || encoded.at(-1) === eosId ? encoded : Int32Array.from([...encoded, eosId]);
  const examples: ScoredTokens[] = [];
  for (let start = 0; start + 1 < ids.length; start += maxTokens - 1) {
    const window = ids.subarray(start, start + maxTokens);
    examples.push({ ids: window, scored: range(1, window.length) });
  }
  return { examples, cut: 0 };
}

function commonLength(a: Int32Array, b: Int32Array): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return at;
}

const range = (start: number, end: number): Int32Array =>
  Int32Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
