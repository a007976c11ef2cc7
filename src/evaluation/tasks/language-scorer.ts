/** Texts as tokens and back, by the rules of lm-evaluation-harness for models of transformers (its HFLM). */
import { GloraError } from "../../base/errors.js";
import type { TextInput } from "../../data/text/text-input.js";
import type { Tokenizer } from "../../data/text/tokenizer.js";
import type { Model } from "../../models/model.js";
import type { LikelihoodRequest } from "./prompts.js";
import { stripEnd } from "./python-text.js";
import type { LanguageScorer, Likelihood, ScoreOptions } from "./scorer.js";
import { type TokenRequest, type TokenScorerOptions, tokenScorer } from "./token-scorer.js";

export interface ModelScorer extends LanguageScorer {
  readonly tokenizer: Tokenizer;
  /** Tokens of context and continuation together, less the last, that the model sees at most; what is over is cut off in front. */
  readonly maxLength: number;
  /** The logarithm of a text's probability, read in windows of the longest length that follow each other. */
  rolling(text: string, o?: RollingOptions): Promise<number>;
  dispose(): Promise<void>;
}

export interface RollingOptions extends Pick<ScoreOptions, "signal"> {
  /** Called with the number of tokens done and of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** @throws {GloraError} MODEL if the model does not predict the next token; what reading its tokenizer throws */
export async function modelScorer(model: Model, o: TokenScorerOptions = {}): Promise<ModelScorer> {
  const input = model.input as TextInput;
  if (!model.cache || input.kind !== "text")
    throw new GloraError(
      "MODEL",
      `${model.name}: ${model.family} does not predict the next token, which these tasks ask for.`,
      {
        family: model.family,
      },
    );
  const tokenizer = await input.tokenizer();
  const scorer = tokenScorer(model, o);
  const maxLength = input.maxTokens;
  const prefix = tokenizer.bosId ?? tokenizer.eosId;
  const prefixText = prefix === undefined ? undefined : tokenizer.decode([prefix]);
  // A text that begins with the first token itself gets no second one.
  const encode = (text: string): readonly number[] => [
    ...tokenizer.encode(text, { special: !(prefixText && text.startsWith(prefixText)) }),
  ];
  const requirePrefix = (): number => {
    if (prefix !== undefined) return prefix;
    throw new GloraError(
      "MODEL",
      `${model.name}: its tokenizer names neither a first nor a last token (bos_token, eos_token).`,
    );
  };

  function encodeRequest({ context, continuations }: LikelihoodRequest): TokenRequest {
    if (context === "") {
      const first = requirePrefix();
      // Each continuation stands behind the first token alone; one that begins with it is its own context.
      return {
        context: [first],
        continuations: continuations.map((text) => {
          const tokens = [...tokenizer.encode(text, { special: false })];
          return tokens[0] === first ? tokens.slice(1) : tokens;
        }),
      };
    }
    const stripped = stripEnd(context);
    const spaces = context.slice(stripped.length);
    const before = encode(stripped);
    return {
      context: before,
      continuations: continuations.map((text) => encode(stripped + spaces + text).slice(before.length)),
    };
  }

  return {
    tokenizer,
    maxLength,
    async logLikelihoods(requests, { signal, onResult } = {}) {
      // A context that must be cut is cut differently for continuations of different lengths: these become requests of their own.
      const parts: TokenRequest[] = [];
      const owners: { readonly request: number; readonly choices: readonly number[] }[] = [];
      for (const [request, texts] of requests.entries()) {
        const { context, continuations } = encodeRequest(texts);
        const byContext = new Map<number, number[]>();
        for (const [choice, tokens] of continuations.entries()) {
          if (tokens.length === 0 || tokens.length > maxLength)
            throw new GloraError(
              "DATA",
              `${JSON.stringify(texts.continuations[choice])} has ${tokens.length} tokens behind its context; between 1 and ${maxLength} ` +
                "can be scored.",
              { text: texts.continuations[choice], tokens: tokens.length },
            );
          const kept = Math.min(context.length, maxLength + 1 - tokens.length);
          byContext.set(kept, [...(byContext.get(kept) ?? []), choice]);
        }
        for (const [kept, choices] of byContext) {
          parts.push({
            context: context.slice(context.length - kept),
            continuations: choices.map((i) => continuations[i]!),
          });
          owners.push({ request, choices });
        }
      }
      const results: Likelihood[][] = requests.map(({ continuations }) => new Array(continuations.length));
      const open = new Uint32Array(requests.length);
      for (const { request } of owners) open[request]!++;
      await scorer.score(parts, {
        signal,
        onResult(part, likelihoods) {
          const { request, choices } = owners[part]!;
          choices.forEach((choice, i) => {
            results[request]![choice] = likelihoods[i]!;
          });
          if (--open[request]! === 0) onResult?.(request, results[request]!);
        },
      });
      return results;
    },
    async rolling(text, { signal, onProgress } = {}) {
      const tokens = encode(text);
      let sum = 0;
      let done = 0;
      for (const { window, predicted } of rollingWindows(tokens, tokens.length > 0 ? requirePrefix() : 0, maxLength)) {
        for (const { logLikelihood } of await scorer.last(predicted, window, { signal })) sum += logLikelihood;
        done += predicted;
        onProgress?.(done, tokens.length);
      }
      return sum;
    },
    dispose: () => scorer.dispose(),
  };
}

/**
 * The windows of a text: each predicts its last `predicted` tokens. The first begins with the prefix token; each other one
 * predicts up to `length` tokens that are new, behind at least one that is known.
 */
export function rollingWindows(
  tokens: readonly number[],
  prefix: number,
  length: number,
): { readonly window: readonly number[]; readonly predicted: number }[] {
  if (tokens.length === 0) return [];
  const windows = [{ window: [prefix, ...tokens.slice(0, length)], predicted: Math.min(length, tokens.length) }];
  for (let done = length; done < tokens.length; done += length) {
    const end = Math.min(done + length, tokens.length);
    windows.push({ window: tokens.slice(end - length - 1, end), predicted: end - done });
  }
  return windows;
}
