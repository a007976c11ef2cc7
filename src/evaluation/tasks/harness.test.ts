/** Prompts, shots, metrics, results and records against lm-evaluation-harness itself: scripts/fixtures/lm-eval.py. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { hashText } from "./hash.js";
import { selectTasks } from "./index.js";
import { localTasks } from "./local-data.node.js";
import { prepareTask } from "./prompts.js";
import { type RunFacts, runFacts, sampleRecord, taskResults } from "./results.js";
import { runTasks, type ScoredTask } from "./run-tasks.js";
import type { LanguageScorer } from "./scorer.js";
import type { BenchmarkTask } from "./task.js";

const fixtures = new URL("../../../test/fixtures/lm-eval/", import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, fixtures), "utf8"));

/** The model of the fixtures: a checksum of the texts. */
const table: LanguageScorer = {
  async logLikelihoods(requests, o) {
    const answers = requests.map(({ context, continuations }) =>
      continuations.map((continuation) => {
        const check = crc32(`${context}\0${continuation}`);
        return { logLikelihood: -(check % 4096) / 64, greedy: check % 2 === 0 };
      }),
    );
    answers.forEach((answer, i) => {
      o?.onResult?.(i, answer);
    });
    return answers;
  },
};

/** Subjects of MMLU share three sets of documents. */
const shared = (task: BenchmarkTask): BenchmarkTask =>
  task.dataset.path === "cais/mmlu"
    ? { ...task, dataset: { path: "cais/mmlu", name: `${task.dataset.name!.length % 3}` } }
    : task;

async function score(tasks: readonly BenchmarkTask[], shots: number, limit?: number): Promise<ScoredTask[]> {
  const source = await localTasks(fileURLToPath(new URL("data", fixtures)));
  const prepared = await Promise.all(
    tasks.map((task) => prepareTask(task, source(shared(task)), { shots, ...(limit !== undefined && { limit }) })),
  );
  return runTasks(prepared, table);
}

interface Expected {
  readonly target: unknown;
  readonly arguments?: readonly [string, string][];
  readonly arguments_hash: string;
  readonly [key: string]: unknown;
}

test.each(Object.entries(read("prompts.fixtures.json") as Record<string, Expected[]>))(
  "%s shots: texts, answers and metrics of every document",
  async (key, expected) => {
    const [name, shots] = key.split(" ") as [string, string];
    const [scored] = await score(selectTasks([name]).tasks, Number(shots));
    expect(scored!.documents).toHaveLength(expected.length);
    for (const [i, document] of scored!.documents.entries()) {
      const { arguments: texts, arguments_hash, target, ...rest } = expected[i]!;
      const pairs = document.requests.flatMap(({ context, continuations }) => continuations.map((c) => [context, c]));
      if (texts) expect(pairs).toEqual(texts);
      expect(await hashText(JSON.stringify(pairs))).toBe(arguments_hash);
      const record = await sampleRecord(document);
      expect(record["target"]).toBe(`${target}`);
      // mc2 divides sums of exponentials; numpy adds them in another order.
      for (const [field, value] of Object.entries(rest))
        if (typeof value === "number") expect(record[field]).toBeCloseTo(value, 12);
        else expect(record[field]).toBe(value);
    }
  },
);

test("results of all tasks, MMLU's groups among them, in the harness's layout", async () => {
  const { results: expected, samples } = read("results.fixtures.json");
  const { tasks, groups } = selectTasks([
    "arc_challenge",
    "arc_easy",
    "hellaswag",
    "truthfulqa_mc1",
    "truthfulqa_mc2",
    "winogrande",
    "piqa",
    "openbookqa",
    "commonsense_qa",
    "mmlu",
  ]);
  expect(tasks).toHaveLength(9 + 57);
  const scored = await score(tasks, 2, 0.5);
  const facts: RunFacts = {
    modelName: "a/model",
    modelArgs: {},
    parameters: 1,
    batchSize: undefined,
    device: "cpu",
    limit: 0.5,
    tokenizer: { pad: [null, undefined], eos: ["</s>", 2], bos: ["<s>", 1] },
    maxLength: 512,
    date: 0,
    seconds: 1,
    version: "0",
  };
  const results: Record<string, unknown> = { ...(await taskResults(scored, groups)), ...runFacts(facts) };
  for (const key of ["groups", "group_subtasks", "versions", "n-samples", "task_hashes"])
    expect(results[key]).toEqual(expected[key]);
  for (const key of ["results", "n-shot", "higher_is_better"]) expect(results[key]).toEqual(expected[key]);
  const configs = results["configs"] as Record<string, unknown>;
  for (const [name, config] of Object.entries(expected["configs"])) expect(configs[name]).toEqual(config);
  expect(Object.keys(results)).toEqual(
    expect.arrayContaining(Object.keys(expected).filter((k) => k !== "transformers_version")),
  );

  const records = await Promise.all(
    ["hellaswag", "winogrande"].map((name) =>
      sampleRecord(scored.find(({ task }) => task.name === name)!.documents[0]!),
    ),
  );
  expect(records).toEqual(samples);
  expect(records.map((record) => Object.keys(record))).toEqual(samples.map((record: object) => Object.keys(record)));
});
