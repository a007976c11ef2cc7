/** Options of commands: each is declared once, with its text, and help, docs and values come from that. */
import { GloraError } from "../base/errors.js";

/** An option as commands declare it; its flag is its key: `maxTime` is `--max-time`. */
export interface Option<T> {
  readonly kind: "value" | "flag" | "negated";
  /** What stands for the value in the help: `--budget <count>`. */
  readonly placeholder?: string;
  /** What it counts, in which unit. */
  readonly text: string;
  readonly parse?: (text: string) => T;
  /** As it would be typed. */
  readonly fallback?: string;
  readonly required?: boolean;
  /** May be given any number of times; `parse` makes a list of one of each text. */
  readonly repeated?: boolean;
}

export type Options = Readonly<Record<string, Option<unknown>>>;

/** What a command gets: the value of each option by its key. */
export type ValuesOf<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

type Parse<T> = (text: string) => T;

/** `--key <placeholder>`: undefined where it is not given. */
export const option = <T>(placeholder: string, text: string, parse: Parse<T>): Option<T | undefined> => ({
  kind: "value",
  placeholder,
  text,
  parse,
});

/** `--key <placeholder>` with a default, written as it would be typed. */
export const optionOr = <T>(fallback: string, placeholder: string, text: string, parse: Parse<T>): Option<T> => ({
  kind: "value",
  placeholder,
  text,
  parse,
  fallback,
});

/** `--key <placeholder>` that must be given. */
export const required = <T>(placeholder: string, text: string, parse: Parse<T>): Option<T> => ({
  kind: "value",
  placeholder,
  text,
  parse,
  required: true,
});

/** The same option, given any number of times: its values in their order. */
export const repeated = <T>({ parse, ...o }: Option<T>): Option<readonly T[]> => ({
  ...o,
  parse: (text) => [parse!(text)],
  repeated: true,
});

/** `--key`: false where it is not given. */
export const flag = (text: string): Option<boolean> => ({ kind: "flag", text });

/** `--no-key`: its value, under `key`, is true where it is not given. */
export const unless = (text: string): Option<boolean> => ({ kind: "negated", text });

/** How an option is typed: "--max-time <duration>". */
export function flagsOf(key: string, { kind, placeholder }: Option<unknown>): string {
  const kebab = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return `--${kind === "negated" ? "no-" : ""}${kebab}${placeholder === undefined ? "" : ` <${placeholder}>`}`;
}

/** Reads what was typed for an option; an error names it. */
export function readOption<T>(key: string, spec: Option<T>, text: string): T {
  try {
    return spec.parse!(text);
  } catch (thrown) {
    if (!(thrown instanceof GloraError)) throw thrown;
    const [name] = flagsOf(key, spec).split(" ");
    throw new GloraError(thrown.code, `${name}: ${thrown.message}`, { option: name, ...thrown.details });
  }
}

type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** The same values without those that were not given, for calls whose settings are optional. */
export const given = <T extends object>(values: T): Given<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>;
