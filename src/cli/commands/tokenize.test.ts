import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { readTokenizerFixture } from "../../data/text/text-data.fixtures.js";
import { typed } from "../cli.fixtures.js";

const { texts } = readTokenizerFixture("texts");
const { tokenizer, expected } = readTokenizerFixture("small").llama3;
let model: string;

beforeAll(async () => {
  model = join(await mkdtemp(join(tmpdir(), "glora-tokenize-")), "model");
  await mkdir(model);
  await writeFile(join(model, "tokenizer.json"), JSON.stringify(tokenizer));
});
afterAll(() => rm(join(model, ".."), { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const input = (text: string) =>
  vi.spyOn(process, "stdin", "get").mockReturnValue(Readable.from([Buffer.from(text)]) as typeof process.stdin);

test("--json: one JSON string a line in, one array of ids a line out, no tokens added", async () => {
  input(texts.map((text: string) => `${JSON.stringify(text)}\n`).join(""));
  const { code, stdout } = await typed(["tokenize", model, "--json"]);
  expect(code).toBe(0);
  expect(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual(expected.ids);
});

test.each([
  ['"a"\n7\n', /standard input, line 2: is no string but 7; a JSON string a line is expected/],
  ['"a"\n\n"b"\n', /standard input, line 2: is empty/],
  ["oops", /standard input, line 1: not valid JSON/],
])("--json refuses %j by its line", async (text, message) => {
  input(text);
  const { code, stderr } = await typed(["tokenize", model, "--json"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
});

test("ids and pieces for people, of the argument or of standard input", async () => {
  const { code, stdout } = await typed(["tokenize", model, "the fox\n"]);
  expect(code).toBe(0);
  const [title, first] = stdout.split("\n");
  expect(title).toMatch(/^ *id {2}piece$/);
  expect(first).toMatch(/^ *0 {2}"<\|begin_of_text\|>"$/);
  expect(stdout).toContain('"Ċ"');
  input("the fox");
  const piped = await typed(["tokenize", model]);
  expect(stdout.startsWith(piped.stdout.trimEnd())).toBe(true);
  expect(piped.stdout.split("\n").length).toBe(stdout.split("\n").length - 1);
});
