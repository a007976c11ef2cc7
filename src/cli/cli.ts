/** The command line: from what was typed to a command, its output and an exit code. */
import { CommanderError, Command as Parser, Option as ParserOption } from "commander";
import { GloraError } from "../base/errors.js";
import { packageVersion } from "../base/version.node.js";
import { interruptible } from "../runtime/node/interruptible.node.js";
import type { Command, Context } from "./command.js";
import { commands } from "./commands/index.js";
import { inFlags } from "./flag-names.js";
import { flagsOf, type Options, readOption } from "./options.js";
import { type ProgressReporter, reportProgress } from "./progress.js";
import { globalOptions } from "./shared-options.js";
import { type OutputStream, terminalOf } from "./terminal.js";

/** The process that a command line runs in. */
export interface Io {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** As a shell shows them: 128 and the signal's number where one ended the command. */
export const EXIT = { done: 0, failed: 1, wrongUse: 2, SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs a command line.
 *
 * @param argv  what was typed behind the program's name
 * @returns the exit code: 0 done, 1 failed, 2 wrong use of the command line, 130 interrupted, 143 terminated
 */
export async function runCli(argv: readonly string[], io: Io, known: readonly Command[] = commands): Promise<number> {
  const program = new Parser("glora")
    .description("Fine-tunes pretrained models with Generalized LoRA: supernet, search, merge.")
    .version(packageVersion(), "-v, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined, // reported below, as all errors are
      getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 120),
      getErrHelpWidth: () => Math.min(io.stderr.columns ?? 100, 120),
    });
  for (const command of known) declare(program, command, io);
  try {
    await program.parseAsync(argv, { from: "user" });
    return EXIT.done;
  } catch (thrown) {
    return report(thrown, io, argv, known);
  }
}

function declare(program: Parser, command: Command, io: Io): void {
  const parser = program.command(command.name).summary(command.summary);
  parser.description([command.summary, ...(command.details ? [command.details] : [])].join("\n\n"));
  const optional = command.optional ?? {};
  for (const [name, text] of Object.entries(command.arguments)) parser.argument(`<${name}>`, text);
  for (const [name, text] of Object.entries(optional)) parser.argument(`[${name}]`, text);
  const options: Options = { ...command.options, ...globalOptions };
  for (const [key, spec] of Object.entries(options)) {
    const { text, fallback, required } = spec;
    // That it is required is checked below: a mistyped flag is to be told first.
    const remark = required ? " (required)" : fallback === undefined ? "" : ` (default: ${fallback})`;
    const option = new ParserOption(flagsOf(key, spec), text + remark);
    if (spec.repeated) option.argParser((typed, before: readonly string[] = []) => [...before, typed]);
    parser.addOption(option);
  }
  parser.addHelpText("after", `\nExamples:\n${exampleLines(command)}`);
  parser.action(async (...typed: unknown[]) => {
    const names = [...Object.keys(command.arguments), ...Object.keys(optional)];
    const texts = typed[names.length] as Readonly<Record<string, Typed>>;
    const values = {
      ...Object.fromEntries(names.map((name, i) => [name, typed[i]])),
      ...Object.fromEntries(Object.entries(options).map(([key, spec]) => [key, readValue(key, spec, texts[key])])),
    };
    await interruptible((signal) => execute(command, values, signal, io));
  });
}

const exampleLines = ({ examples }: Command): string =>
  examples.map(({ command, text }) => `  ${text}:\n    ${command}\n`).join("\n");

/** What the parser gives for an option; a list where it may be given several times. */
type Typed = string | boolean | readonly string[] | undefined;

function readValue(key: string, spec: Options[string], typed: Typed): unknown {
  if (spec.kind !== "value") return typed ?? spec.kind === "negated";
  if (spec.required && typed === undefined)
    throw new GloraError("USAGE", `The option ${flagsOf(key, spec)} must be given.`, { option: flagsOf(key, spec) });
  if (typeof typed === "object") return typed.flatMap((text) => readOption(key, spec, text));
  const text = typed ?? spec.fallback;
  return typeof text === "string" ? readOption(key, spec, text) : undefined;
}

async function execute(
  command: Command,
  values: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  io: Io,
): Promise<void> {
  const json = values["json"] === true;
  const silent = values["quiet"] === true || (json && values["progress"] !== true);
  const reporter = silent ? SILENT : reportProgress(io.stderr, terminalOf(io.stderr, io.env), clock);
  const write = (text: string): void => {
    reporter.makeWay();
    io.stdout.write(text);
  };
  const context: Context = {
    signal,
    json,
    paint: terminalOf(io.stdout, io.env).paint,
    print: (text) => json || write(`${text}\n`),
    write: (text) => json || write(text),
    emit: (value) => json && write(`${toJson(value)}\n`),
    note: reporter.note,
    onEvent: reporter.show,
  };
  const onAbort = (): void =>
    reporter.note(
      signal.reason === "SIGTERM"
        ? "Terminated: ending in order."
        : "Interrupted: ending in order. Press Ctrl-C again to leave at once.",
    );
  signal.addEventListener("abort", onAbort);
  try {
    await command.run(values as Parameters<Command["run"]>[0], context);
  } catch (thrown) {
    throw thrown instanceof GloraError && thrown.code === "ABORTED"
      ? new GloraError("ABORTED", thrown.message, { ...thrown.details, signal: signal.reason }, thrown)
      : thrown;
  } finally {
    signal.removeEventListener("abort", onAbort);
    reporter.end();
  }
}

const SILENT: ProgressReporter = {
  show: () => undefined,
  note: () => undefined,
  makeWay: () => undefined,
  end: () => undefined,
};

const clock = (): number => performance.now() / 1000;

/** One line of JSON; typed arrays become lists. */
const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (ArrayBuffer.isView(v) ? Array.from(v as unknown as ArrayLike<number>) : v));

/** Says what was thrown, on stderr for people and with --json on stdout too; returns the exit code. */
function report(thrown: unknown, io: Io, argv: readonly string[], known: readonly Command[]): number {
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT.done; // help or version was printed
  const command = known.find(({ name }) => name === argv[0]);
  const { exit, text, error } = failureOf(thrown, command?.options ?? {});
  if (text !== "") io.stderr.write(`${text}\n`);
  if (text !== "" && exit === EXIT.wrongUse) io.stderr.write(`See glora ${command ? `${command.name} ` : ""}--help.\n`);
  if (argv.includes("--json")) io.stdout.write(`${toJson({ error })}\n`);
  return exit;
}

interface Failure {
  readonly exit: number;
  readonly text: string;
  readonly error: { readonly code: string; readonly message: string; readonly [detail: string]: unknown };
}

function failureOf(thrown: unknown, options: Options): Failure {
  if (thrown instanceof CommanderError) {
    const shown = thrown.code === "commander.help"; // no command: the help is already on stderr
    const message = shown ? "A command is expected." : thrown.message.replace(/^error: /, "");
    return { exit: EXIT.wrongUse, text: shown ? "" : message, error: { code: "USAGE", message } };
  }
  if (thrown instanceof GloraError) {
    const { code, details } = thrown;
    const message = inFlags(thrown, options);
    const interrupted = details["signal"] === "SIGTERM" ? EXIT.SIGTERM : EXIT.SIGINT;
    const exit = code === "USAGE" ? EXIT.wrongUse : code === "ABORTED" ? interrupted : EXIT.failed;
    return { exit, text: message, error: { code, message, ...details } };
  }
  const { message, stack } = thrown instanceof Error ? thrown : new Error(String(thrown));
  return { exit: EXIT.failed, text: `Unexpected: ${stack ?? message}`, error: { code: "INTERNAL", message } };
}
