/** What a command is, and what it is given to run with. */
import type { FitEvent } from "../search/fit.js";
import type { Options, ValuesOf } from "./options.js";
import type { Paint } from "./terminal.js";

/** What a command runs with. Results go to stdout; progress and notes to stderr. */
export interface Context {
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** The result is for a program: {@link emit} writes, {@link print} does not. */
  readonly json: boolean;
  /** Colours for what is printed, if stdout has any. */
  readonly paint: Paint;
  /** Text of the result, for people. */
  print(text: string): void;
  /** Text of the result as it comes, without an end of line. */
  write(text: string): void;
  /** The result, or one part of a stream of results, for programs: one line of JSON. */
  emit(value: unknown): void;
  /** A remark that is no result. */
  note(text: string): void;
  /** Progress, as `fit` and others report it. */
  readonly onEvent: (event: FitEvent) => void;
}

export interface Example {
  readonly command: string;
  readonly text: string;
}

export interface Definition<A extends string, O extends Options, B extends string = never> {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What else must be known to use it. */
  readonly details?: string;
  /** Arguments in their order, each with its text; all of them must be given. */
  readonly arguments: Readonly<Record<A, string>>;
  /** Arguments behind those that may be left out. */
  readonly optional?: Readonly<Record<B, string>>;
  readonly options: O;
  readonly examples: readonly Example[];
  run(values: Readonly<Record<A, string> & Partial<Record<B, string>>> & ValuesOf<O>, context: Context): Promise<void>;
}

export type Command = Definition<string, Options, string>;

/** Declares a command; `run` gets its arguments and options by name and type. */
export const defineCommand = <const A extends string, O extends Options, const B extends string = never>(
  definition: Definition<A, O, B>,
): Command =>
  // Whoever calls `run` of the erased type reads its values by this very definition.
  definition as unknown as Command;
