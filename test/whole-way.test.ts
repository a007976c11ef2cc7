/** The commands one after the other, as a person uses them, on a tiny model and a tiny folder of images. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { typed } from "../src/cli/cli.fixtures.js";
import { tinyFiles, tinyImage } from "../src/training/tiny.fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "glora-whole-way-"));
const at = (...path: string[]) => join(folder, ...path);
const LABELS = ["east", "north", "south"];

beforeAll(async () => {
  mkdirSync(at("model"));
  for (const [file, bytes] of tinyFiles()) writeFileSync(at("model", file), bytes);
  for (const [label, name] of LABELS.entries()) {
    mkdirSync(at("images", name), { recursive: true });
    for (let i = 0; i < 10; i++) {
      const { data, ...raw } = tinyImage(`${name} ${i}`, label);
      await sharp(data, { raw: { ...raw, channels: 3 } })
        .png()
        .toFile(at("images", name, `${i}.png`));
    }
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a command with --json and gives what it printed. */
async function json(...argv: string[]): Promise<readonly Record<string, unknown>[]> {
  const { code, stdout, stderr } = await typed([...argv, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const WORK = ["--epochs", "2", "--batch-size", "8", "--population", "4", "--generations", "1", "--rank", "2"];

test("fit: from a pretrained model and images to a merged model that eval and predict open", async () => {
  const model = at("model");
  const [result] = await json(
    "fit",
    "--model",
    model,
    "--data",
    at("images"),
    "--out",
    at("run"),
    "--budget",
    "600",
    ...WORK,
  );
  expect(result!["parameters"]).toBeLessThanOrEqual(600);
  expect(result!["candidates"]).toBe(8);
  const merged = at("run", "merged");
  expect(result!["merged"]).toBe(merged);

  // The merged model scores on test what the adapted one did, and so does the adapter on the base.
  const test = (result!["test"] as { accuracy: number; loss: number }) ?? {};
  const [ofMerged] = await json("eval", "--model", merged, "--data", at("images"));
  const [ofAdapter] = await json("eval", "--model", model, "--adapter", at("run", "adapter"), "--data", at("images"));
  expect(ofMerged!["accuracy"]).toBe(test.accuracy);
  expect(ofAdapter!["loss"]).toBeCloseTo(test.loss, 5);

  const predictions = await json("predict", "--model", merged, "--data", at("images", "east"));
  expect(predictions).toHaveLength(10);
  expect(predictions[0]).toMatchObject({ file: "0.png", logits: expect.any(Array), probability: expect.any(Number) });
  expect(LABELS).toContain(predictions[0]!["label"]);
});

test("the same command goes on with the run; another budget in its folder is refused with what differs", async () => {
  const argv = (budget: string) => [
    "fit",
    "--model",
    at("model"),
    "--data",
    at("images"),
    "--out",
    at("run"),
    "--budget",
    budget,
    "--no-merge",
    ...WORK,
  ];
  const before = readFileSync(at("run", "result.json"), "utf8");
  await json(...argv("600"));
  expect(readFileSync(at("run", "result.json"), "utf8")).toBe(before);
  const { code, stderr } = await typed(argv("500"));
  expect(code).toBe(1);
  expect(stderr).toMatch(/begun with other settings.*\n\s+--budget: 600 in the run, .*500 now/);
});

test("a finished run is said again by resume, search and the same command; its merged model is kept, or made", async () => {
  const stored = JSON.parse(readFileSync(at("run", "result.json"), "utf8")) as Record<string, unknown>;
  const weights = at("run", "merged", "model.safetensors");
  const before = statSync(weights);
  for (const command of ["resume", "search"]) {
    const { code, stdout, stderr } = await typed([command, at("run")]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("This run is finished") });
    expect(stdout).toContain(`Merged before, and checked then: ${at("run", "merged")}.`);
    expect((await json(command, at("run")))[0]).toMatchObject({ test: stored["test"], merged: at("run", "merged") });
  }
  expect(statSync(weights)).toEqual(before);

  // As a process leaves it that is killed in its merge.
  rmSync(at("run", "merged"), { recursive: true });
  mkdirSync(at("run", ".merged.partial-1-0"));
  await json("resume", at("run"));
  expect(existsSync(weights)).toBe(true);
  expect(existsSync(at("run", ".merged.partial-1-0"))).toBe(false);
});

test("train, then search with two budgets from one supernet; merge as a command of its own", async () => {
  const run = at("net");
  await json("train", "--model", at("model"), "--data", at("images"), "--out", run, "--rank", "2", "--epochs", "1");
  expect(existsSync(join(run, "search.jsonl"))).toBe(false);
  const search = ["--population", "4", "--generations", "1", "--no-merge"];
  const [small] = await json("search", run, "--out", at("small"), "--budget", "300", ...search);
  const [large] = await json("search", run, "--out", at("large"), "--budget", "500..1000", ...search);
  expect(small!["parameters"]).toBeLessThanOrEqual(300);
  expect(large!["parameters"]).toBeGreaterThanOrEqual(500);

  const merge = ["merge", "--model", at("model"), "--adapter", at("large", "adapter"), "--verify"];
  const [report] = await json(...merge, "--data", at("images"), "--out", at("large-vit"));
  expect(report!["logits"]).toBeLessThanOrEqual(1e-4);
  const { code, stderr } = await typed([...merge, "--out", at("model")]);
  expect(code).toBe(2);
  expect(stderr).toContain("cannot be written into the folder of its base");
});

test("a budget that no structure meets ends before anything is written", async () => {
  const argv = [
    "fit",
    "--model",
    at("model"),
    "--data",
    at("images"),
    "--out",
    at("none"),
    "--preset",
    "lora",
    "--budget",
    "10",
  ];
  const { code, stderr } = await typed(argv);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /No structure has between 0 and 10 adapter parameters\. This space reaches from [\d,]+ to [\d,]+/,
  );
  expect(existsSync(at("none"))).toBe(false);
});
