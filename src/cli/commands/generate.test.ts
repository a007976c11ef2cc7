import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import { typed } from "../cli.fixtures.js";

const stories = fileURLToPath(new URL("../../../../shared/data/models/stories260K-hf", import.meta.url));
const noStories = existsSync(stories) ? false : `${stories} is missing`;

afterEach(() => vi.restoreAllMocks());

const input = (text: string) =>
  vi.spyOn(process, "stdin", "get").mockReturnValue(Readable.from([Buffer.from(text)]) as typeof process.stdin);

test.skipIf(noStories)("generate: a text of the argument or of standard input goes on", async () => {
  const { code, stdout } = await typed(["generate", stories, "Once upon a time", "--max-tokens", "12"]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^, there was a little girl.*\n$/) });
  input("Once upon a time\n");
  const { stdout: piped } = await typed(["generate", stories, "--max-tokens", "12", "--json", "--no-pack"]);
  const answer = JSON.parse(piped);
  expect(answer).toMatchObject({
    prompt: "Once upon a time",
    text: stdout.slice(0, -1),
    end: "length",
    promptTokens: 5,
  });
  expect(answer.tokens).toHaveLength(12);
  const stopped = await typed(["generate", stories, "Once upon a time", "--stop", " girl", "--json"]);
  expect(JSON.parse(stopped.stdout)).toMatchObject({ text: expect.stringMatching(/ little$/), end: "stop" });
});

test.skipIf(noStories)("generate: options that cannot be", async () => {
  const { code, stderr } = await typed(["generate", stories, "a", "--top-p", "0"]);
  expect(code).toBe(2);
  expect(stderr).toContain("--top-p must be above 0 and at most 1, not 0.");
});

test.skipIf(noStories)("chat: a base model without a template says so", async () => {
  const { code, stderr } = await typed(["chat", stories, "--message", "Hi"]);
  expect(code).toBe(1);
  expect(stderr).toContain("has no chat template");
  expect(stderr).toContain("a base model goes on with texts, by glora generate.");
});

test.skipIf(noStories)("chat: lines are messages, the conversation is remembered until /reset", async () => {
  const folder = await mkdtemp(join(tmpdir(), "glora-chat-"));
  await cp(stories, folder, { recursive: true });
  const file = join(folder, "tokenizer_config.json");
  const config = JSON.parse(await readFile(file, "utf8"));
  // A conversation is one story; the template refuses one that has become long.
  const template =
    "{% if messages | length > 4 %}{{ raise_exception('too long') }}{% endif %}" +
    "{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}";
  await rm(file);
  await writeFile(file, JSON.stringify({ ...config, chat_template: template }));
  const say = async (lines: string[]) => {
    input(lines.map((line) => `${line}\n`).join(""));
    const { code, stdout, stderr } = await typed(["chat", folder, "--max-tokens", "8", "--json", "--progress"]);
    expect(code).toBe(0);
    const answers = stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    return { answers: answers.map(({ text }) => text), stderr };
  };
  const { answers: one } = await say(["Once upon a time"]);
  const { answers, stderr } = await say([
    "Once upon a time",
    "She",
    "He",
    "/reset",
    "Once upon a time",
    "/exit",
    "Once",
  ]);
  const { answers: whole } = await say([`Once upon a time${one[0]}She`]);
  expect(answers).toEqual([one[0], whole[0], one[0]]);
  expect(stderr).toContain("the chat template refuses the messages: too long");
  const { stdout } = await typed(["chat", folder, "--message", "Once upon a time", "--max-tokens", "8"]);
  expect(stdout).toBe(`${one[0]}\n`);
  await rm(folder, { recursive: true });
});
