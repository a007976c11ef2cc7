import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
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
  let program: ReturnType<typeof parse> | undefined;
  const read = (): ReturnType<typeof parse> => {
    try {
      return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
    } catch (thrown) {
      throw new GloraError(
        "CONFIG",
        `${folder}: the chat template cannot be read: ${messageOf(thrown)}`,
        { folder },
        thrown,
      );
    }
  };
  return (messages, addGenerationPrompt) => {
    program ??= read();
    const environment = new Environment();
    const variables = { ...CONSTANTS, ...functions, ...special, messages, add_generation_prompt: addGenerationPrompt };
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    try {
      return String(new Interpreter(environment).run(program).value);
    } catch (thrown) {
      const what = thrown instanceof Refusal ? "refuses the messages" : "cannot be run";
      throw new GloraError("DATA", `the chat template ${what}: ${messageOf(thrown)}`, { folder }, thrown);
    }
  };
}

/** Jinja's names in both spellings. */
const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

/** As many as Jinja's sandbox allows, in which transformers renders templates. */
const MOST_IN_RANGE = 100_000;

// The package's own template sets these too, but its dates are in the language of the machine, and its refusals are
// errors as any other.
const functions = {
  range: (first: number, end?: number, step = 1): number[] => {
    const [start, stop] = end === undefined ? [0, first] : [first, end];
    const length = Math.max(0, Math.ceil((stop - start) / step));
    if (!(length <= MOST_IN_RANGE)) throw new Error(`a range of at most ${MOST_IN_RANGE} numbers is expected`);
    return Array.from({ length }, (_, i) => start + i * step);
  },
  strftime_now: (format: string) => strftime(new Date(), format),
  raise_exception: (message: string) => {
    throw new Refusal(message);
  },
};

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
