import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { typed } from "../cli.fixtures.js";

const model = "../shared/data/models/stories260K-hf";
const data = "test/fixtures/lm-eval/data";

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), "glora-eval-"));
});
afterEach(() => rm(out, { recursive: true }));

test.each([
  [[], "Either --data or --tasks and --perplexity say what the model is scored on."],
  [
    ["--data", "digits", "--tasks", "piqa"],
    "Either --data or --tasks and --perplexity say what the model is scored on.",
  ],
  [["--tasks", "pica"], 'There is no task "pica". Known are arc_challenge,'],
  [["--tasks", "piqa", "--limit", "1.5"], '--limit: a count of documents, or a share below 1, is expected; got "1.5".'],
  [["--tasks", "piqa", "--shots", "piqa=x"], "--shots: a whole number is expected"],
])("wrong use is told before a model is opened: %j", async (more, text) => {
  const { code, stderr } = await typed(["eval", "--model", "none", ...more]);
  expect(code).toBe(2);
  expect(stderr).toContain(text);
});

test("a model that predicts no token is refused", async () => {
  const { code, stderr } = await typed(["eval", "--model", "models/vit-micro", "--tasks", "piqa", "--task-data", data]);
  expect(code).toBe(1);
  expect(stderr).toContain("does not predict the next token, which these tasks ask for.");
});

describe.skipIf(!existsSync(model))("stories260K (skipped where ../shared/data is missing)", () => {
  const score = (...more: string[]) => typed(["eval", "--model", model, "--task-data", data, "--json", ...more]);

  test("what is said of --data is heard: its limit, what is scored, its shares", async () => {
    const file = join(out, "two.jsonl");
    const record = JSON.stringify({ prompt: "Once upon a", completion: " time there was a girl" });
    await writeFile(file, `${record}\n${record}\n`);
    const scored = async (...more: string[]) => {
      const shares = ["--split", "train", "--split-shares", "validation=0,test=0"];
      const { stdout } = await typed(["eval", "--model", model, "--data", file, "--json", ...shares, ...more]);
      return JSON.parse(stdout).tokens;
    };
    const count = async (text: string) => {
      const { stdout } = await typed(["tokenize", model, text, "--json"]);
      return JSON.parse(stdout).length;
    };
    const [prompt, both] = [await count("Once upon a"), await count("Once upon a time there was a girl")];
    // Behind each answer its end token, in front of each prompt the first token, which nothing predicts.
    expect(await scored()).toBe(2 * (both - prompt + 1));
    expect(await scored("--loss-on", "all")).toBe(2 * (both + 1));
    expect(await scored("--max-tokens", String(prompt + 2))).toBe(2); // the first token, the prompt, one more
  });

  test("results and records are kept in the harness's files, and a second run goes on from the first", async () => {
    const ask = ["--tasks", "piqa,hellaswag", "--shots", "hellaswag=2", "--limit", "0.5", "--out", out];
    const first = JSON.parse((await score(...ask)).stdout);
    expect(first["n-shot"]).toEqual({ piqa: 0, hellaswag: 2 });
    expect(first["n-samples"]).toEqual({
      piqa: { original: 5, effective: 3 },
      hellaswag: { original: 8, effective: 4 },
    });
    expect(first.config).toMatchObject({ model: "glora", model_args: { pretrained: model }, limit: 0.5 });
    expect(first.model_name).toBe("stories260K-hf");
    const names = (await readdir(out)).map((name) => name.replace(/\d{4}-.*(\.jsonl?)$/, "TIME$1")).sort();
    expect(names).toEqual([
      "answers_hellaswag.jsonl",
      "answers_piqa.jsonl",
      "results_TIME.json",
      "samples_hellaswag_TIME.jsonl",
      "samples_piqa_TIME.jsonl",
    ]);

    // What the first run found is believed: a likelihood that is changed there shows up in the second one's records.
    const answers = join(out, "answers_piqa.jsonl");
    await writeFile(answers, (await readFile(answers, "utf8")).replace(/\[\[-[\d.]+/, "[[-1234.5"));
    await score("--tasks", "piqa", "--limit", "0.5", "--out", out);
    const records = (await readdir(out)).filter((name) => name.startsWith("samples_piqa")).sort();
    expect(await readFile(join(out, records.at(-1)!), "utf8")).toContain('"-1234.5"');
  });

  test("a table for people; a file's name for the results", async () => {
    const file = join(out, "scores.json");
    const { stdout } = await typed([
      "eval",
      "--model",
      model,
      "--tasks",
      "piqa",
      "--task-data",
      data,
      "--out",
      file,
      "--quiet",
    ]);
    expect(stdout).toMatch(/task +shots +documents +metric +value\npiqa +0 +5 +acc +0\.\d{4} +± 0\.\d{4}\n/);
    expect(JSON.parse(await readFile(file, "utf8")).results.piqa.sample_len).toBe(5);
  });

  test("shots of what is not asked for, an empty text, a file in the folder's place: refused before anything is scored", async () => {
    const text = join(out, "empty.txt");
    await writeFile(text, "");
    const refused = async (...more: string[]) => {
      const { code, stdout } = await typed(["eval", "--model", model, "--task-data", data, "--json", ...more]);
      return [code, JSON.parse(stdout).error.message];
    };
    expect(await refused("--tasks", "piqa", "--shots", "piqa=1,arc_easy=2")).toEqual([
      2,
      'shots: "arc_easy" is none of the tasks that are asked for: piqa.',
    ]);
    expect(await refused("--perplexity", text)).toEqual([1, "empty.txt: is empty; a text is expected."]);
    expect(await refused("--tasks", "piqa", "--out", text)).toEqual([
      1,
      `${text}: is a file, or lies in one; a folder is expected.`,
    ]);
  });

  test("the perplexity of a text", async () => {
    const file = join(out, "text.txt");
    await writeFile(file, "Once upon a time, there was a little girl named Lily.");
    const { results } = JSON.parse((await score("--perplexity", file)).stdout);
    const { "loglikelihood,none": value, ...rest } = results.perplexity;
    expect(rest).toMatchObject({
      alias: "text.txt",
      "word_perplexity,none": Math.exp(-value / 11),
      "byte_perplexity,none": Math.exp(-value / 53),
      "bits_per_byte,none": -value / 53 / Math.log(2),
    });
  });
});
