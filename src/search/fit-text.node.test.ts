/** Whole runs on text, with a real little LLaMA. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textData } from "../data/text/text-data.node.js";
import type { LanguageMetrics } from "../evaluation/metrics.js";
import { testModel } from "../evaluation/test-model.js";
import type { Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { compareMethods } from "./compare.js";
import { type FitOptions, headFor } from "./fit.js";
import { fit, resume, search, taskFitnessIn } from "./run.node.js";

const STORIES = fileURLToPath(new URL("../../../shared/data/models/stories260K-hf", import.meta.url));

const ANIMALS = ["cat", "dog", "bird", "fish"];
const COLOURS = ["red", "blue"];

describe.skipIf(!existsSync(STORIES))("text, with stories260K of ../shared/data", () => {
  let runtime: Runtime;
  let model: Model;
  let folder: string;
  beforeAll(async () => {
    runtime = await createNodeRuntime({ threads: 1 });
    model = await openModel(STORIES, { runtime });
    folder = await mkdtemp(join(tmpdir(), "glora-fit-text-"));
    const records = ANIMALS.flatMap((animal) =>
      COLOURS.flatMap((colour) =>
        [1, 2, 3].map((n) => ({
          prompt: `${n} ${animal}s are`,
          completion: ` ${colour} and sleep on the ${colour} bed.`,
        })),
      ),
    );
    await writeFile(join(folder, "beds.jsonl"), records.map((record) => JSON.stringify(record)).join("\n"));
    const rows = records.map(({ prompt, completion }) => `${prompt}${completion}\t${completion.split(" ")[1]}`);
    await writeFile(join(folder, "colours.tsv"), ["text\tlabel", ...rows].join("\n"));
    await mkdir(join(folder, "tasks/ARC-Easy"), { recursive: true });
    const questions = ANIMALS.map((animal, i) => ({
      id: `q${i}`,
      question: `What does the ${animal} sleep on?`,
      choices: { text: ["a bed", "a cloud", "the sea", "nothing"], label: ["A", "B", "C", "D"] },
      answerKey: "A",
    }));
    for (const split of ["train", "validation", "test"])
      await writeFile(
        join(folder, `tasks/ARC-Easy/${split}.jsonl`),
        questions.map((question) => JSON.stringify(question)).join("\n"),
      );
  }, 60_000);
  afterAll(async () => {
    await runtime.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  const small: FitOptions = {
    rank: 2,
    budget: 2000,
    train: { epochs: 2, batchSize: 8, microBatchSize: 4, learningRate: 0.01, validateEvery: 1 },
    search: { population: 4, generations: 1, parents: 2, mutants: 2, crossovers: 1, seeded: true, finalists: 2 },
    further: { epochs: 2 },
    seed: 3,
  };
  const beds = () => textData(join(folder, "beds.jsonl"));

  test("a language model learns answers, through search and merge; a run that was interrupted ends with the same bits", async () => {
    const whole = await fit(model, await beds(), { ...small, out: join(folder, "whole") });
    const plan = whole.plan; // so that both plan the same, whatever a step took
    const before = await fit(model, await beds(), { ...small, budget: 0, plan });
    expect(before.parameters).toBe(0);
    const base = await testModel(model, await beds());
    expect(before.test).toEqual(base);
    const { loss, perplexity, tokens } = whole.test as LanguageMetrics;
    expect(tokens).toBe((base as LanguageMetrics).tokens);
    expect(loss).toBeLessThan(0.8 * base.loss);
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    // Attention alone, as the published runs.
    expect(whole.adapted.space.layers.every(({ name }) => name.includes(".self_attn."))).toBe(true);

    const halted = new AbortController();
    const cut = join(folder, "cut");
    const interrupted = fit(model, await beds(), {
      ...small,
      plan,
      out: cut,
      signal: halted.signal,
      onProgress: (event) => event.type === "validation" && event.phase === "further" && halted.abort(),
    });
    await expect(interrupted).rejects.toThrow();
    const resumed = await resume(cut, { runtime });
    expect(resumed.adapted.parameters).toEqual(whole.adapted.parameters);
    for (const file of ["search.jsonl", "result.json", "adapter/adapter.safetensors"])
      expect(await readFile(join(cut, file))).toEqual(await readFile(join(folder, "whole", file)));

    const merged = join(folder, "merged");
    const { report } = await whole.merge(merged);
    expect(report.logits).toBeLessThan(report.logitsLimit);
    expect(JSON.parse(await readFile(join(merged, "config.json"), "utf8")).architectures).toEqual(["LlamaForCausalLM"]);
  }, 120_000);

  test("a run does not go on with a file whose lines have changed, and does with one that is as it was", async () => {
    const [file, out] = [join(folder, "changing.jsonl"), join(folder, "changed")];
    const text = await readFile(join(folder, "beds.jsonl"), "utf8");
    await writeFile(file, text);
    await fit(model, await textData(file), { ...small, out, stopAfter: "train" });
    await writeFile(file, text.replace("red bed", "big bed"));
    await expect(resume(out, { runtime })).rejects.toMatchObject({
      code: "CONFIG",
      details: { differences: ["data: the content of changing.jsonl is another than when it was begun"] },
    });
    await writeFile(file, text);
    expect((await resume(out, { runtime })).test).toBeDefined();
  }, 60_000);

  test("candidates are ranked by the accuracy of a task, on questions that an evaluation does not score", async () => {
    const settings = { tasks: ["arc_easy"], data: join(folder, "tasks"), limit: 3 };
    const read: string[] = [];
    const { source } = await taskFitnessIn(settings);
    const watched = (task: Parameters<typeof source>[0]) => {
      const splits = source(task);
      return (split: string) => {
        read.push(split);
        return splits(split);
      };
    };
    const { search: result, plan } = await fit(model, await beds(), {
      ...small,
      search: { population: 4, generations: 1, parents: 2, mutants: 2, crossovers: 1 },
      taskFitness: { settings, source: watched },
      stopAfter: "search",
    });
    expect(read).toEqual(["validation"]);
    expect(plan.search).toMatchObject({ fitness: "accuracy", finalists: 1 });
    expect([0, 1, 2, 3]).toContain(Math.round(3 * result!.best.accuracy * 1e6) / 1e6);
    expect(result!.best.loss).toBeGreaterThan(0);
  }, 60_000);

  test.each<[string, FitOptions, string]>([
    [
      "the head alone",
      { preset: "linear" },
      "Nothing would be trained: linear trains the head alone, and for beds.jsonl",
    ],
    [
      "no form",
      { forms: { A: ["none"], B: ["none"], C: ["none"], D: ["none"], E: ["none"] } },
      "Nothing would be trained: the forms leave no adapter parameters, and for beds.jsonl",
    ],
    ["mirrored", { train: { augment: { flip: 0.5 } } }, "augment: texts are neither mirrored nor cropped."],
    ["another loss", { train: { loss: "mse" } }, "loss: mse is no loss for this data"],
    ["weighed classes", { train: { classWeights: "balanced" } }, "classWeights: the data has no classes to weigh."],
  ])("refused before anything runs: %s", async (_, o, message) => {
    const out = join(folder, "refused");
    await expect(fit(model, await beds(), { ...small, ...o, out })).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining(message),
    });
    expect(existsSync(out)).toBe(false);
  });

  test("a supernet that is trained already is searched by a task", async () => {
    const net = join(folder, "net");
    await fit(model, await beds(), { ...small, out: net, stopAfter: "train" });
    const settings = { tasks: ["arc_easy"], data: join(folder, "tasks"), limit: 3 };
    const { plan, search: found } = await search(net, { runtime, taskFitness: settings, stopAfter: "search" });
    expect(plan.search).toMatchObject({ population: 4, fitness: "accuracy", finalists: 1 });
    expect([0, 1, 2, 3]).toContain(Math.round(3 * found!.best.accuracy * 1e6) / 1e6);
    expect((await resume(net, { runtime })).search!.best).toEqual(found!.best);
  }, 60_000);

  test("tasks cannot rank a classifier's candidates; the head alone cannot be compared where it is not trained", async () => {
    const colours = await textData(join(folder, "colours.tsv"));
    const taskFitness = await taskFitnessIn({ tasks: ["arc_easy"], data: join(folder, "tasks") });
    await expect(fit(model, colours, { ...small, taskFitness })).rejects.toThrow(
      /taskFitness asks for the next token, which .*stories260K-hf, trained on colours.tsv, does not predict\./,
    );
    const methods = ["linear", "lora"] as const;
    await expect(compareMethods(model, [colours, await beds()], { methods })).rejects.toThrow(
      "linear trains the head alone, and for beds.jsonl",
    );
  });

  test("a decoder becomes a classifier: a new head, its labels, its merged folder", async () => {
    const data = await textData(join(folder, "colours.tsv"));
    const run = await fit(model, data, {
      ...small,
      preset: "lora",
      budget: 20_000,
      train: { ...small.train!, epochs: 12 },
    });
    expect(run.adapted.model.labels).toEqual(["blue", "red"]);
    expect(run.validation!.accuracy).toBe(1); // the label is a word of the text
    const merged = join(folder, "classifier");
    await run.merge(merged);
    const config = JSON.parse(await readFile(join(merged, "config.json"), "utf8"));
    expect(config).toMatchObject({
      architectures: ["LlamaForSequenceClassification"],
      id2label: { 0: "blue", 1: "red" },
    });
    const reopened = await openModel(merged, { runtime });
    expect(reopened.head).toMatchObject({ out: 2, trained: true, pretrained: true });
    const labels = ["blue", "red"];
    expect(headFor(reopened, { kind: "classes", labels })).toBe(reopened);
    // The same labels, of which any number may hold, are another question.
    const several = headFor(reopened, { kind: "multi-label", labels });
    expect(several).toMatchObject({ loss: "binary-cross-entropy", head: { pretrained: false } });
  }, 60_000);
});
