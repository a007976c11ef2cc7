import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { GloraError, throwIfAborted } from "../base/errors.js";
import { typed } from "./cli.fixtures.js";
import { type Context, defineCommand } from "./command.js";
import { commands } from "./commands/index.js";
import { flag, option, optionOr, repeated, required, unless } from "./options.js";
import { listOf, parseBudget, parseCount, parseDuration } from "./values.js";

/** A command with an option of every kind, and a body of the test's own. */
const command = (body: (values: unknown, context: Context) => unknown = () => undefined) =>
  defineCommand({
    name: "bake",
    summary: "Bake a cake.",
    details: "The oven is hot.",
    arguments: { cake: "which cake" },
    options: {
      eggs: required("count", "how many eggs", parseCount),
      budget: option("count", "crumbs", parseBudget),
      bakeTime: optionOr("1h", "duration", "how long it bakes", parseDuration),
      toppings: option("list", "what goes on top", listOf(String)),
      dry: flag("only look at it"),
      sugar: unless("without sugar"),
    },
    examples: [{ command: "glora bake tart --eggs 3", text: "A tart" }],
    run: async (values, context) => {
      await body(values, context);
    },
  });

const bake = (argv: readonly string[], body?: Parameters<typeof command>[0]) => typed(argv, [command(body)]);

test("a command gets its arguments and options by name and type", async () => {
  const seen: unknown[] = [];
  const keep = (values: unknown) => seen.push(values);
  await bake(["bake", "tart", "--eggs", "3"], keep);
  await bake(["bake", "tart", "--eggs=2k", "--budget", "1k..2k", "--bake-time", "90s", "--dry", "--no-sugar"], keep);
  const silent = { json: false, quiet: false, progress: false };
  expect(seen).toEqual([
    {
      ...silent,
      cake: "tart",
      eggs: 3,
      budget: undefined,
      bakeTime: 3600,
      toppings: undefined,
      dry: false,
      sugar: true,
    },
    {
      ...silent,
      cake: "tart",
      eggs: 2000,
      budget: { min: 1000, max: 2000 },
      bakeTime: 90,
      toppings: undefined,
      dry: true,
      sugar: false,
    },
  ]);
});

test("results go to stdout, as text or as JSON lines; remarks go to stderr and are silent with --json or --quiet", async () => {
  const body = (_: unknown, { print, emit, note }: Context) => {
    note("preheated");
    print("done");
    emit({ crumbs: Float32Array.of(1, 2) });
    emit({ more: true });
  };
  const argv = ["bake", "tart", "--eggs", "3"];
  const json = '{"crumbs":[1,2]}\n{"more":true}\n';
  expect(await bake(argv, body)).toEqual({ code: 0, stdout: "done\n", stderr: "preheated\n" });
  expect(await bake([...argv, "--quiet"], body)).toEqual({ code: 0, stdout: "done\n", stderr: "" });
  expect(await bake([...argv, "--json"], body)).toEqual({ code: 0, stdout: json, stderr: "" });
  expect(await bake([...argv, "--json", "--progress"], body)).toEqual({ code: 0, stdout: json, stderr: "preheated\n" });
});

test.each([
  [["bkae"], "unknown command 'bkae'\n(Did you mean bake?)\nSee glora --help."],
  [["bake", "tart", "--egs", "3"], "unknown option '--egs'\n(Did you mean --eggs?)\nSee glora bake --help."],
  [["bake", "--eggs", "3"], "missing required argument 'cake'\nSee glora bake --help."],
  [["bake", "tart"], "The option --eggs <count> must be given.\nSee glora bake --help."],
  [
    ["bake", "tart", "--eggs", "few"],
    '--eggs: a whole number is expected, such as 100000, 100_000, 100k or 0.1M; got "few".\nSee glora bake --help.',
  ],
])("wrong use of the command line, %j, is exit code 2", async (argv, text) => {
  expect(await bake(argv)).toEqual({ code: 2, stdout: "", stderr: `${text}\n` });
  const [message] = text.split("\nSee glora");
  const { code, stdout } = await bake([...argv, "--json"]);
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: "USAGE", message } });
});

test("no command at all prints the help, and is wrong use", async () => {
  const { code, stdout, stderr } = await bake([]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^Usage: glora/);
});

test("a failure of ours prints its text alone, another one its stack; both are exit code 1", async () => {
  const argv = ["bake", "tart", "--eggs", "3", "--json"];
  const known = await bake(argv, () => {
    throw new GloraError("FILE", "oven.json: is missing.", { file: "oven.json" });
  });
  expect(known.code).toBe(1);
  expect(known.stderr).toBe("oven.json: is missing.\n");
  expect(JSON.parse(known.stdout)).toEqual({
    error: { code: "FILE", message: "oven.json: is missing.", file: "oven.json" },
  });
  const unknown = await bake(argv, () => {
    throw new TypeError("no oven");
  });
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/^Unexpected: TypeError: no oven\n +at /);
  expect(JSON.parse(unknown.stdout)).toEqual({ error: { code: "INTERNAL", message: "no oven" } });
});

test.each([
  ["SIGINT", 130, "Interrupted: ending in order. Press Ctrl-C again to leave at once."],
  ["SIGTERM", 143, "Terminated: ending in order."],
] as const)("%s aborts the command's signal, and is exit code %i", async (name, code, note) => {
  const result = await bake(["bake", "tart", "--eggs", "3"], async (_, { signal }) => {
    process.emit(name);
    await vi.waitUntil(() => signal.aborted);
    await sleep(1);
    throwIfAborted(signal);
  });
  expect(result).toEqual({
    code,
    stdout: "",
    stderr: `${note}\nInterrupted.\n`,
  });
  expect(process.listenerCount(name)).toBe(0);
});

test("--version prints the package's version", async () => {
  const { code, stdout } = await bake(["--version"]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

test("--help of a command tells its options, their defaults, and an example", async () => {
  const { code, stdout } = await bake(["bake", "--help"]);
  expect(code).toBe(0);
  expect(stdout).toBe(`Usage: glora bake [options] <cake>

Bake a cake.

The oven is hot.

Arguments:
  cake                    which cake

Options:
  --eggs <count>          how many eggs (required)
  --budget <count>        crumbs
  --bake-time <duration>  how long it bakes (default: 1h)
  --toppings <list>       what goes on top
  --dry                   only look at it
  --no-sugar              without sugar
  --json                  print JSON for programs on stdout; progress and notes stay silent
  --quiet                 no progress and no notes
  --progress              show progress and notes on stderr also with --json
  -h, --help              print this help

Examples:
  A tart:
    glora bake tart --eggs 3

`);
});

test.each(commands.map(({ name, examples }) => [name, examples] as const))(
  "glora %s --help has an example that its own options can read",
  async (name, examples) => {
    const { code, stdout } = await typed([name, "--help"]);
    expect(code).toBe(0);
    expect(examples.length).toBeGreaterThan(0);
    for (const { command } of examples) {
      expect(stdout).toContain(command);
      expect(command).toMatch(new RegExp(`^glora ${name}( |$)`));
      const definition = commands.find((known) => known.name === name)!;
      const words = command
        .split(" ")
        .slice(1)
        .map((word) => word.replace(/^'(.*)'$/, "$1"));
      const parsed = await typed(words, [{ ...definition, run: async () => undefined }]);
      expect(parsed).toEqual({ code: 0, stdout: "", stderr: "" });
    }
  },
);

test("an option that may be given several times gives a list, and is required as others are", async () => {
  const seen: unknown[] = [];
  const slice = defineCommand({
    name: "slice",
    summary: "Cut a cake.",
    arguments: {},
    options: { width: repeated(required("count", "how wide", parseCount)) },
    examples: [],
    run: async ({ width }) => void seen.push(width),
  });
  await typed(["slice", "--width", "3", "--width", "2k"], [slice]);
  await typed(["slice", "--width", "1"], [slice]);
  expect(seen).toEqual([[3, 2000], [1]]);
  expect((await typed(["slice"], [slice])).stderr).toContain("The option --width <count> must be given.");
  expect((await typed(["slice", "--width", "1", "--width", "x"], [slice])).stderr).toContain("--width: a whole number");
});
