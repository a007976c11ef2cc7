import { Template } from "@huggingface/jinja";
import { GloraError, messageOf } from "../../base/errors.js";
import type { Message } from "./tokenizer.js";

/** Texts of the special tokens that a template may name: bos_token, eos_token … */
export type SpecialTexts = Record<string, string>;

/** What a template says with raise_exception. */
class Refusal extends Error {}

/**
 * A chat template as transformers renders it: messages, add_generation_prompt, the special tokens, `strftime_now` (local
 * time) and `raise_exception`.
 *
 * @returns a function that throws {GloraError} DATA if the template refuses the messages or cannot be run on them
 * @throws {GloraError} CONFIG if the template cannot be read
 */
export function chatTemplate(
  source: string,
  special: SpecialTexts,
  folder: string,
): (messages: readonly Message[], addGenerationPrompt: boolean) => string {
  let template: Template | undefined;
  const parse = (): Template => {
    try {
      return new Template(source);
    } catch (thrown) {
      throw new GloraError("CONFIG", `${folder}: the chat template cannot be read: ${messageOf(thrown)}`, { folder }, thrown);
    }
  };
  return (messages, addGenerationPrompt) => {
    template ??= parse();
    try {
      return template.render({
        ...special,
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: addGenerationPrompt,
        strftime_now: (format: string) => strftime(new Date(), format),
        raise_exception: (message: string) => {
          throw new Refusal(message);
        },
      });
    } catch (thrown) {
      const what = thrown instanceof Refusal ? "refuses the messages" : "cannot be run";
      throw new GloraError("DATA", `the chat template ${what}: ${messageOf(thrown)}`, { folder }, thrown);
    }
  };
}

/** The directives of Python's strftime that templates use; others stay as they are. */
function strftime(date: Date, format: string): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const name = (options: Intl.DateTimeFormatOptions): string => date.toLocaleDateString("en-US", options);
  const values: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: name({ month: "long" }),
    b: name({ month: "short" }),
    A: name({ weekday: "long" }),
    a: name({ weekday: "short" }),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? "AM" : "PM",
    "%": "%",
  };
  return format.replace(/%([a-zA-Z%])/g, (directive, letter: string) => values[letter] ?? directive);
}
