/** Options of the commands that let a language model write. */
import { openAdapterPath } from "../adapters/adapter-file.node.js";
import { openGenerator, type TextGenerator } from "../evaluation/generation/generator.js";
import type { Context } from "./command.js";
import { attachFor, openModelFor } from "./open-model.js";
import { given, option, optionOr, unless, type ValuesOf } from "./options.js";
import { modelOptions } from "./shared-options.js";
import { parseNumber, parsePositive, parseSeed, parseShare, parseText } from "./values.js";

const openOptions = {
  adapter: option("folder", "write with this adapter on the model, unmerged", parseText),
  pack: unless(
    "leave the weights in 16 bits, mapped from their file: several times slower, a third of the memory; by itself where 32 bits do not fit",
  ),
  ...modelOptions,
};

const writeOptions = {
  maxTokens: optionOr("256", "count", "tokens that are written at most", parsePositive),
  temperature: optionOr(
    "0",
    "number",
    "divides the logits before a token is drawn; 0: the likeliest is taken",
    parseNumber,
  ),
  topK: option("count", "draw from so many of the likeliest tokens; default: all", parsePositive),
  topP: option("share", "draw from the fewest tokens that together reach this probability; default: all", parseShare),
  repetitionPenalty: option("factor", "divides the logits of tokens that have occurred; default: 1", parseNumber),
  stop: option("text", "a text that ends the writing; \\n is a new line", (text) => [text.replaceAll("\\n", "\n")]),
  seed: optionOr("0", "number", "what is drawn comes from it", parseSeed),
};

export const generationOptions = { ...writeOptions, ...openOptions };

type Values = ValuesOf<typeof generationOptions>;

/** What is passed to {@link TextGenerator.generate}. */
export const writingOf = ({ maxTokens, temperature, topK, topP, repetitionPenalty, stop, seed }: Values) =>
  given({ maxTokens, temperature, topK, topP, repetitionPenalty, stop, seed });

/** Runs the body with a model ready to write, and closes it behind it. */
export async function withGenerator(
  context: Context,
  path: string,
  { adapter, pack, config, device, imageSize }: Values,
  body: (generator: TextGenerator) => Promise<void>,
): Promise<void> {
  const model = await openModelFor(context, path, given({ config, device, imageSize }));
  try {
    const subject = adapter === undefined ? model : await attachFor(context, model, await openAdapterPath(adapter));
    await body(await openGenerator(subject, pack ? {} : { packWeights: false }));
  } finally {
    await model.runtime.dispose();
  }
}
