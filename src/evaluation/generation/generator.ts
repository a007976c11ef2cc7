/** Texts that a language model writes: base, adapted or merged, token by token with a key-value cache. */
import type { AdaptedModel } from "../../adapters/adapted-model.js";
import { GloraError, throwIfAborted } from "../../base/errors.js";
import { type Rng, rngStream } from "../../base/rng.js";
import type { Tensor } from "../../base/tensor.js";
import { checkVocabulary } from "../../data/text/open-tokenizer.js";
import type { TextInput } from "../../data/text/text-input.js";
import type { Message, Tokenizer } from "../../data/text/tokenizer.js";
import type { Model } from "../../models/model.js";
import { bindInputs } from "../../passes/bind-inputs.js";
import type { Session } from "../../runtime/runtime.js";
import { adapting } from "../tasks/adapting.js";
import { generationGraph } from "./generation-graph.js";
import { checkSampling, nextToken, type SamplingOptions } from "./sampler.js";
import { stopTokens } from "./stop-tokens.js";
import { TextStream } from "./text-stream.js";

/** A text to go on with (the tokens that the model puts in front are added), a conversation to answer, or token ids as they are. */
export type Prompt = string | readonly Message[] | Int32Array;

export interface GeneratorOptions {
  /**
   * Widen the weights to 32 bits once, at 4 bytes a parameter: several times faster than from 16 bits. Default: where
   * that fits into the runtime's memory.
   */
  readonly packWeights?: boolean;
}

export interface GenerateOptions extends SamplingOptions {
  /** Tokens that are written at most. Default: 256. */
  readonly maxTokens?: number;
  /** Texts that end the writing; they are not part of what is written. */
  readonly stop?: readonly string[];
  /** Seed of what is drawn; each prompt draws from a stream of its own. Default: 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A piece of a text that is being written. */
export interface TextPiece {
  /** The prompt that it goes on from, from 0. */
  readonly prompt: number;
  /** Whole characters; may be empty. */
  readonly text: string;
  /** The token that it came with; undefined where a text ends without a further one. */
  readonly token?: number;
  /** With the last piece of a text: it was ended by the model, by a stop string, or by `maxTokens` or the model's own limit. */
  readonly end?: "eos" | "stop" | "length";
}

export interface TextGenerator {
  readonly tokenizer: Tokenizer;
  /**
   * Writes on from prompts, all at once. What the prompt shares with the text before is not computed again where there is
   * one prompt: a conversation.
   *
   * @throws {GloraError} USAGE for options that cannot be; DATA for an empty prompt or one that is too long; MODEL if logits are
   *   not finite; ABORTED
   */
  generate(prompts: readonly Prompt[], o?: GenerateOptions): AsyncGenerator<TextPiece>;
  dispose(): Promise<void>;
}

/**
 * Opens a language model for writing.
 *
 *     const generator = await openGenerator(model);
 *     for await (const { text } of generator.generate(["Once upon a time"])) process.stdout.write(text);
 *     await generator.dispose();
 *
 * @throws {GloraError} MODEL for a model that is no causal language model; FILE or CONFIG for its tokenizer
 */
export async function openGenerator(subject: Model | AdaptedModel, o: GeneratorOptions = {}): Promise<TextGenerator> {
  const adapted = "parameters" in subject ? subject : undefined;
  const model = "parameters" in subject ? subject.model : subject;
  const { input, runtime } = model;
  if (!model.cache || input.kind !== "text")
    throw new GloraError("MODEL", `${model.name} is no causal language model: it does not go on with a text.`, {
      model: model.name,
    });
  const tokenizer = await input.tokenizer();
  checkVocabulary(tokenizer, input.vocabulary, model.name);
  const adapter = adapted && adapting(adapted);
  const { graph, memory } = generationGraph(model, adapter?.adapt);
  // Set for good, so that they are not fed at every token.
  const bound = bindInputs(graph, adapter?.feeds() ?? {});
  const packWeights = o.packWeights ?? 4 * countOf(model) <= (runtime.memory ?? Number.POSITIVE_INFINITY);
  const session = await runtime.open(bound, { name: "generation", memory, packWeights });
  return new Writer(model.name, input, tokenizer, await stopTokens(model), session);
}

/**
 * Writes on from prompts, a few at a time.
 *
 *     for await (const { prompt, text } of generate(model, ["Once upon a time", "The sun"])) …
 *
 * @throws {GloraError} as {@link openGenerator} and {@link TextGenerator.generate}
 */
export async function* generate(
  subject: Model | AdaptedModel,
  prompts: readonly Prompt[],
  {
    batchSize = 8,
    packWeights,
    ...o
  }: GenerateOptions &
    GeneratorOptions & {
      /** Prompts that run through the graph at once. Default: 8. */
      readonly batchSize?: number;
    } = {},
): AsyncGenerator<TextPiece> {
  const generator = await openGenerator(subject, packWeights === undefined ? {} : { packWeights });
  try {
    for (let from = 0; from < prompts.length; from += batchSize)
      for await (const piece of generator.generate(prompts.slice(from, from + batchSize), o))
        yield { ...piece, prompt: from + piece.prompt };
  } finally {
    await generator.dispose();
  }
}

/** Numbers in the weights of a model. */
const countOf = ({ weights }: Model): number =>
  [...weights.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

/** Tokens of prompts that run at once: scores of attention grow with their number. */
const CHUNK = 512;

/** A text under way. */
interface Text {
  readonly tokens: number[];
  readonly stream: TextStream;
  readonly rng: Rng;
  written: number;
  ended: boolean;
}

class Writer implements TextGenerator {
  /** Tokens whose keys and values the session remembers, where there was one prompt. */
  private remembered: readonly number[] = [];
  private busy = false;

  constructor(
    private readonly model: string,
    private readonly input: TextInput,
    readonly tokenizer: Tokenizer,
    private readonly eos: ReadonlySet<number>,
    private readonly session: Session,
  ) {}

  async *generate(prompts: readonly Prompt[], o: GenerateOptions = {}): AsyncGenerator<TextPiece> {
    checkSampling(o);
    if (o.stop?.includes("")) throw new GloraError("USAGE", "A stop string must not be empty.");
    if (this.busy)
      throw new GloraError("USAGE", "The generator is writing: end that first, or hand it all prompts at once.");
    this.busy = true;
    try {
      if (prompts.length > 0) yield* this.writeAll(prompts, o);
    } finally {
      this.busy = false;
    }
  }

  private async *writeAll(prompts: readonly Prompt[], o: GenerateOptions): AsyncGenerator<TextPiece> {
    const { maxTokens = 256, stop = [], seed = 0 } = o;
    const texts = prompts.map((prompt, i): Text => {
      const tokens = Array.from(this.tokensOf(prompt));
      this.checkLength(tokens, prompts.length > 1 ? `Prompt ${i + 1}` : "The prompt");
      const stream = new TextStream(this.tokenizer, tokens, stop);
      return { tokens, stream, rng: rngStream(seed, `text ${i}`), written: 0, ended: false };
    });
    const longest = Math.max(...texts.map(({ tokens }) => tokens.length));
    let logits = await this.readPrompts(texts, longest, o.signal);
    for (let past = longest; ; past++) {
      for (const [i, text] of texts.entries()) {
        if (text.ended) continue;
        const piece = this.write(text, logits.subarray(i * this.vocabulary, (i + 1) * this.vocabulary), maxTokens, o);
        if (piece) yield { prompt: i, ...piece };
      }
      if (texts.every(({ ended }) => ended)) return;
      throwIfAborted(o.signal);
      const last = texts.map(({ tokens }) => [tokens.at(-1)!]);
      const paddings = texts.map(({ tokens, ended }) => (ended ? 0 : past + 1 - tokens.length));
      logits = await this.run(last, paddings, past, o.signal);
      if (texts.length === 1) this.remembered = [...texts[0]!.tokens];
    }
  }

  async dispose(): Promise<void> {
    await this.session.dispose();
  }

  private get vocabulary(): number {
    return this.input.vocabulary;
  }

  private tokensOf(prompt: Prompt): Int32Array {
    if (prompt instanceof Int32Array) return prompt;
    if (typeof prompt === "string") return this.tokenizer.encode(prompt);
    // A template writes the tokens around a text itself.
    return this.tokenizer.encode(this.tokenizer.renderChat(prompt, { addGenerationPrompt: true }), { special: false });
  }

  private checkLength({ length }: readonly number[], what: string): void {
    const { maxTokens } = this.input;
    if (length === 0) throw new GloraError("DATA", `${what} is empty: there is nothing to go on from.`);
    if (length < maxTokens) return;
    throw new GloraError(
      "DATA",
      `${what} has ${length} tokens, and ${this.model} is made for ${maxTokens} at most, new ones included.`,
      {
        expected: maxTokens,
        actual: length,
      },
    );
  }

  /** The next token of a text, and what is to be read of it. */
  private write(
    text: Text,
    logits: Float32Array,
    maxTokens: number,
    o: GenerateOptions,
  ): Omit<TextPiece, "prompt"> | undefined {
    const finish = (end: NonNullable<TextPiece["end"]>, before = "", token?: number): Omit<TextPiece, "prompt"> => {
      text.ended = true;
      return { text: before + text.stream.end(), ...(token !== undefined && { token }), end };
    };
    if (text.written >= maxTokens || text.tokens.length >= this.input.maxTokens) return finish("length");
    if (logits.some(Number.isNaN))
      throw new GloraError(
        "MODEL",
        `${this.model} gives a logit that is not a number: its weights, or those of its adapter, are damaged.`,
        { model: this.model },
      );
    const token = nextToken(logits, text.tokens, o, text.rng);
    text.tokens.push(token);
    text.written++;
    if (this.eos.has(token)) return finish("eos", "", token);
    const more = text.stream.push(token);
    if (text.stream.stopped) return finish("stop", more, token);
    return text.written === maxTokens ? finish("length", more, token) : { text: more, token };
  }

  /** Reads the prompts, filled up on the left, and gives the logits of what follows each: [prompts, vocabulary]. */
  private async readPrompts(
    texts: readonly Text[],
    longest: number,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    const [first, ...others] = texts;
    let at = others.length > 0 ? 0 : shared(this.remembered, first!.tokens);
    this.remembered = [];
    const paddings = texts.map(({ tokens }) => longest - tokens.length);
    let logits = new Float32Array(0);
    for (; at < longest; at += CHUNK) {
      throwIfAborted(signal);
      const end = Math.min(at + CHUNK, longest);
      const tokens = texts.map(({ tokens }, i) =>
        Array.from({ length: end - at }, (_, k) => tokens[at + k - paddings[i]!] ?? this.input.padId),
      );
      logits = await this.run(tokens, paddings, at, signal);
    }
    if (others.length === 0) this.remembered = [...first!.tokens];
    return logits;
  }

  /** Runs tokens [texts, tokens] that stand behind `past` others; the logits of the last of each text. */
  private async run(
    rows: readonly (readonly number[])[],
    paddings: readonly number[],
    past: number,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array<ArrayBuffer>> {
    const [batch, tokens] = [rows.length, rows[0]!.length];
    const int64 = (width: number): Tensor & { readonly data: BigInt64Array } => ({
      dtype: "int64",
      shape: [batch, width],
      data: new BigInt64Array(batch * width),
    });
    const [ids, positions, mask] = [int64(tokens), int64(tokens), int64(past + tokens)];
    rows.forEach((row, i) => {
      row.forEach((id, k) => {
        ids.data[i * tokens + k] = BigInt(id);
        positions.data[i * tokens + k] = BigInt(Math.max(0, past + k - paddings[i]!));
      });
      mask.data.fill(1n, i * (past + tokens) + paddings[i]!, (i + 1) * (past + tokens));
    });
    const last = Int32Array.from(rows, (_, i) => (i + 1) * tokens - 1);
    const scored: Tensor = { dtype: "int32", shape: [batch], data: last };
    const feeds = { input_ids: ids, position_ids: positions, attention_mask: mask, scored };
    const { logits } = await this.session.run(feeds, { remember: past, ...(signal && { signal }) });
    return logits!.data as Float32Array<ArrayBuffer>;
  }
}

/** How many tokens two texts begin with alike; one of the new text is left to run, since something must follow it. */
function shared(known: readonly number[], tokens: readonly number[]): number {
  const longest = Math.min(known.length, tokens.length - 1);
  for (let i = 0; i < longest; i++) if (known[i] !== tokens[i]) return i;
  return longest;
}
