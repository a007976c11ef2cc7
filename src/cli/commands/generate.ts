import type { Prompt, TextGenerator, TextPiece } from "../../evaluation/generation/generator.js";
import { linesOf } from "../../formats/lines.js";
import { type Context, defineCommand } from "../command.js";
import { generationOptions, withGenerator, writingOf } from "../generation-options.js";

export const generate = defineCommand({
  name: "generate",
  summary: "Let a language model go on with a text.",
  details:
    "The text is the argument, or else standard input; what is written comes token by token, without the text itself. With " +
    "--json one object: text, tokens, end (eos, stop or length), promptTokens, and the seconds that reading and writing took.",
  arguments: { model: "folder of the model: pretrained, or merged by glora" },
  optional: { prompt: "the text to go on with" },
  options: generationOptions,
  examples: [
    { command: "glora generate models/smollm2 Once --max-tokens 40", text: "The likeliest continuation" },
    {
      command: "glora generate models/smollm2 --adapter runs/poems/adapter --temperature 0.8 --top-p 0.95 --seed 7",
      text: "A drawn one of the text on standard input, with an adapter that is not merged",
    },
  ],
  async run({ model, prompt, ...options }, context) {
    const text = prompt ?? (await standardInput());
    await withGenerator(context, model, options, async (generator) => {
      const { tokenizer } = generator;
      const { written, ...facts } = await writeOut(
        generator,
        text,
        { ...writingOf(options), signal: context.signal },
        context,
      );
      context.write("\n");
      context.emit({ prompt: text, text: written, ...facts, promptTokens: tokenizer.encode(text).length });
    });
  },
});

/** Prints a text as it is written. */
export async function writeOut(
  generator: TextGenerator,
  prompt: Prompt,
  o: Parameters<TextGenerator["generate"]>[1],
  context: Context,
): Promise<{
  written: string;
  tokens: number[];
  end: TextPiece["end"] | undefined;
  readSeconds: number;
  writeSeconds: number;
}> {
  const started = performance.now();
  let first = started;
  let written = "";
  let end: TextPiece["end"];
  const tokens: number[] = [];
  for await (const piece of generator.generate([prompt], o)) {
    if (tokens.length === 0) first = performance.now();
    if (piece.token !== undefined) tokens.push(piece.token);
    written += piece.text;
    end = piece.end;
    context.write(piece.text);
  }
  const seconds = (ms: number): number => Math.round(ms) / 1000;
  return {
    written,
    tokens,
    end,
    readSeconds: seconds(first - started),
    writeSeconds: seconds(performance.now() - first),
  };
}

/** All of standard input, without the end of its last line. */
async function standardInput(): Promise<string> {
  const lines: string[] = [];
  for await (const { text } of linesOf(process.stdin, "standard input")) lines.push(text);
  return lines.join("\n");
}
