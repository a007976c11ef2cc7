import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyFiles } from "../../training/tiny.fixtures.js";
import { typed } from "../cli.fixtures.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "glora-compare-command-"));
  for (const [name, bytes] of tinyFiles()) await writeFile(join(folder, name), bytes);
});
afterAll(() => rm(folder, { recursive: true }));

const compare = (out: string, ...more: string[]) =>
  typed([
    ...["compare", "--model", folder, "--data", "digits?name=one", "--data", "digits?name=two", "--out", out],
    ...["--methods", "ssf,bitfit,lora", "--budget", "600", "--seeds", "2", "--epochs", "1", "--train-examples", "20"],
    ...["--learning-rates", "0.001,0.01", "--select-seed", ...more],
  ]);

test("compares, writes its tables and goes on; with --json it prints what results.json holds", async () => {
  const out = await mkdtemp(join(tmpdir(), "glora-compared-"));
  try {
    const { code, stdout, stderr } = await compare(out);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/two, lora, seed 1: accuracy \d/),
    });
    expect(stdout).toMatch(
      /^\S+ on one, two\. Each method: at most 600 adapter parameters \(the head not counted\), 1 epoch/,
    );
    expect(stdout).toMatch(/ssf +864, over the budget/);
    expect(stdout).toContain("Difference from lora r=1 in accuracy, percentage points:");
    const files = [
      "compare.json",
      "data.json",
      "plot.svg",
      "results.json",
      "table.csv",
      "table.md",
      "trials",
      "trials.jsonl",
    ];
    expect(await readdir(out)).toEqual(expect.arrayContaining(files));
    // 2 methods × 2 data sets × (2 rates + 1 further seed)
    expect(await readdir(join(out, "trials"))).toHaveLength(12);

    const again = await compare(out, "--json");
    expect(again.stderr).toBe("");
    const results = JSON.parse(again.stdout) as Record<string, unknown>;
    expect(results).toEqual(JSON.parse(await readFile(join(out, "results.json"), "utf8")));
    expect(results["outcomes"]).toHaveLength(8);

    const other = await compare(out, "--batch-size", "4");
    expect(other).toMatchObject({ code: 1, stdout: "" });
    expect(other.stderr).toContain("  --batch-size: not given in the run, 4 now");
  } finally {
    await rm(out, { recursive: true });
  }
});

test.each([
  [["--reference", "glora"], "--reference: glora is none of --methods: ssf, bitfit, lora."],
  [["--data", "digits?name=one"], 'data: "one" is there twice.'],
  [["--learning-rates", "fast"], '--learning-rates: a number is expected, such as 0.001 or 1e-3; got "fast".'],
])("%s is wrong use", async (more, message) => {
  const { code, stderr } = await compare(join(folder, "..", "never"), ...more);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});
