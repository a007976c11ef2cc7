import { createInterface } from "node:readline/promises";
import { GloraError } from "../../base/errors.js";
import type { Message } from "../../data/text/tokenizer.js";
import type { TextGenerator } from "../../evaluation/generation/generator.js";
import { type Context, defineCommand } from "../command.js";
import { generationOptions, withGenerator, writingOf } from "../generation-options.js";
import { option } from "../options.js";
import { parseText } from "../values.js";
import { writeOut } from "./generate.js";

export const chat = defineCommand({
  name: "chat",
  summary: "Talk to a language model by its chat template.",
  details:
    "Ctrl-C interrupts an answer; /reset begins anew, /exit or Ctrl-D ends. Without a terminal each line of standard input is a " +
    "message. With --json one object an answer.",
  arguments: { model: "folder of the model: pretrained, or merged by glora" },
  options: {
    message: option("text", "answer this message, and end", parseText),
    system: option("text", "what the model is told before the conversation", parseText),
    ...generationOptions,
  },
  examples: [
    { command: "glora chat models/smollm2", text: "A conversation" },
    { command: "glora chat models/smollm2 --message Hello", text: "One answer" },
  ],
  async run({ model, message, system, ...options }, context) {
    await withGenerator(context, model, options, async (generator) => {
      if (!generator.tokenizer.chat)
        throw new GloraError(
          "CONFIG",
          `${model}: has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): a base model goes ` +
            "on with texts, by glora generate.",
          { folder: model },
        );
      const conversation = new Conversation(generator, system, writingOf(options), context);
      if (message === undefined) await converse(conversation, context);
      else await conversation.answer(message, context.signal);
    });
  },
});

class Conversation {
  private messages: Message[] = [];

  constructor(
    private readonly generator: TextGenerator,
    private readonly system: string | undefined,
    private readonly writing: ReturnType<typeof writingOf>,
    private readonly context: Context,
  ) {
    this.reset();
  }

  reset(): void {
    this.messages = this.system === undefined ? [] : [{ role: "system", content: this.system }];
  }

  /** Prints the answer and keeps it; a message whose answer was interrupted is forgotten. */
  async answer(content: string, signal: AbortSignal): Promise<void> {
    const messages = [...this.messages, { role: "user", content }];
    const { written, ...facts } = await writeOut(this.generator, messages, { ...this.writing, signal }, this.context);
    this.context.write("\n");
    this.context.emit({ message: content, text: written, ...facts });
    this.messages = [...messages, { role: "assistant", content: written }];
  }
}

/** Reads messages until /exit or the end of standard input. */
async function converse(conversation: Conversation, context: Context): Promise<void> {
  const { stdin, stderr } = process;
  const terminal = stdin.isTTY === true;
  const lines = createInterface({ input: stdin, ...(terminal && { output: stderr, prompt: "> " }), terminal });
  let answering: AbortController | undefined;
  // In a terminal readline gets Ctrl-C, not the process.
  lines.on("SIGINT", () => {
    if (answering) answering.abort("Ctrl-C");
    else context.note("/exit or Ctrl-D ends the conversation.");
    if (!answering) lines.prompt();
  });
  const leave = (): void => lines.close();
  context.signal.addEventListener("abort", leave);
  try {
    lines.prompt();
    for await (const line of lines) {
      const text = line.trim();
      if (text === "/exit") break;
      if (text === "/reset") conversation.reset();
      else if (text !== "") {
        answering = new AbortController();
        await answered(conversation, text, AbortSignal.any([answering.signal, context.signal]), context);
        answering = undefined;
      }
      lines.prompt();
    }
  } finally {
    context.signal.removeEventListener("abort", leave);
    lines.close();
  }
}

/** Answers a message; an interruption by Ctrl-C and what is wrong with the message end the answer, not the conversation. */
async function answered(
  conversation: Conversation,
  text: string,
  signal: AbortSignal,
  context: Context,
): Promise<void> {
  try {
    await conversation.answer(text, signal);
  } catch (thrown) {
    if (context.signal.aborted || !(thrown instanceof GloraError)) throw thrown;
    context.write("\n");
    if (thrown.code === "ABORTED") context.note("Interrupted.");
    else if (thrown.code === "DATA") context.note(thrown.message);
    else throw thrown;
  }
}
