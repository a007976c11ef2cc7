import { expect, test } from "vitest";
import { GloraError } from "../../base/errors.js";
import { piqa } from "./piqa.js";
import { type PreparedTask, prepareTask } from "./prompts.js";
import { type AnswerStore, runTasks } from "./run-tasks.js";
import type { LanguageScorer, Likelihood } from "./scorer.js";
import { winogrande } from "./winogrande.js";

/** A store in memory. */
function memory(files: Record<string, string> = {}): AnswerStore & { readonly files: Record<string, string> } {
  return {
    files,
    read: async (name) => (files[name] === undefined ? undefined : new TextEncoder().encode(files[name])),
    append: async (name, text) => {
      files[name] = (files[name] ?? "") + text;
    },
  };
}

/** Answers by the length of the texts, the last request first; stops in between after so many. */
function lengths(stopAfter = Number.POSITIVE_INFINITY) {
  const asked: string[] = [];
  const scorer: LanguageScorer = {
    async logLikelihoods(requests, o) {
      const results: Likelihood[][] = [];
      for (const [index, { context, continuations }] of [...requests.entries()].reverse()) {
        if (asked.length === stopAfter) throw new GloraError("ABORTED", "Interrupted.");
        asked.push(context);
        results[index] = continuations.map((text) => ({ logLikelihood: -context.length - text.length, greedy: false }));
        o?.onResult?.(index, results[index]!);
      }
      return results;
    },
  };
  return { asked, scorer };
}

const prepared = async (): Promise<PreparedTask[]> => [
  await prepareTask(
    piqa,
    async () => ["a", "bb", "ccc"].map((goal) => ({ goal, sol1: "x", sol2: "yy", label: goal.length % 2 })),
    { shots: 0 },
  ),
  await prepareTask(
    winogrande,
    async () => [{ sentence: "A thanked _ twice", option1: "Bob", option2: "Al", answer: "2" }],
    { shots: 0 },
  ),
];

test("an interrupted run goes on where it stopped, and ends as if nothing had happened", async () => {
  const whole = await runTasks(await prepared(), lengths().scorer);
  // The shorter text is the likelier one: "x" before "yy", "A thanked Al" before "A thanked Bob".
  expect(whole.map(({ documents }) => documents.map(({ metrics }) => metrics["acc"]))).toEqual([[0, 1, 0], [1]]);

  const store = memory();
  const first = lengths(2);
  await expect(runTasks(await prepared(), first.scorer, { store })).rejects.toMatchObject({ code: "ABORTED" });
  expect(store.files["answers_piqa.jsonl"]!.split("\n")).toHaveLength(3);

  store.files["answers_piqa.jsonl"] += '{"key":"half a li'; // what a killed process leaves
  const second = lengths();
  const progress: [number, number, string][] = [];
  const rest = await runTasks(await prepared(), second.scorer, { store, onProgress: (...p) => progress.push(p) });
  expect(rest).toEqual(whole);
  expect(second.asked).toEqual(["Question: a\nAnswer:", "A thanked Al", "A thanked Bob"]);
  expect(progress).toEqual([
    [2, 4, "piqa"],
    [3, 4, "piqa"],
    [4, 4, "winogrande"],
  ]);

  const third = lengths();
  expect(await runTasks(await prepared(), third.scorer, { store })).toEqual(whole);
  expect(third.asked).toEqual([]);
});

test("answers of another model are not taken", async () => {
  const store = memory();
  await runTasks(await prepared(), lengths().scorer, { store, model: "one" });
  const other = lengths();
  await runTasks(await prepared(), other.scorer, { store, model: "two" });
  expect(other.asked).toHaveLength(5);
});
