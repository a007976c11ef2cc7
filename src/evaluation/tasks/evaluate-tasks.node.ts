/** Scores a language model on benchmark tasks and texts, and keeps what comes out in a folder. */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { AdaptedModel } from "../../adapters/adapted-model.js";
import { describeBase } from "../../adapters/adapter-file.node.js";
import { GloraError, messageOf } from "../../base/errors.js";
import { packageVersion } from "../../base/version.node.js";
import { contentOf, writeFileAtomic } from "../../formats/folder.node.js";
import type { Model } from "../../models/model.js";
import { adapting } from "./adapting.js";
import { hashBytes, hashText } from "./hash.js";
import { selectTasks } from "./index.js";
import { type ModelScorer, modelScorer } from "./language-scorer.js";
import type { TaskSource } from "./local-data.node.js";
import { perplexities } from "./perplexity.js";
import { type PreparedTask, prepareTask } from "./prompts.js";
import { runFacts, sampleRecord, type TaskResult, taskResults } from "./results.js";
import { type AnswerStore, runTasks, type ScoredTask } from "./run-tasks.js";

export interface EvaluateTasksOptions {
  /** Tasks and groups by their names in lm-evaluation-harness. */
  readonly tasks?: readonly string[];
  /** Where their data comes from; needed where there are tasks. */
  readonly data?: TaskSource;
  /** Solved examples in front of each question: for all tasks, or by task or group. Default: 0. */
  readonly shots?: number | Readonly<Record<string, number>>;
  /** The first so many documents of each task; below 1 it is a share of them. Default: all. */
  readonly limit?: number;
  /** A text whose perplexity is measured. */
  readonly text?: { readonly name: string; readonly content: string };
  /**
   * Keeps results, records and answers in this folder; a second call goes on where a first one was interrupted. A name
   * that ends in .json is that of the results' file, and the rest goes beside it.
   */
  readonly out?: string;
  /** What the results say of the model beside its name. */
  readonly modelArgs?: Readonly<Record<string, unknown>>;
  /** Most requests that run through the graph at once. Default: as many as are fast. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
  /** Called with what is done and what there is to do. */
  readonly onProgress?: (progress: TaskProgress) => void;
}

export interface TaskProgress {
  readonly unit: "document" | "token";
  readonly done: number;
  readonly total: number;
  /** The task at work. */
  readonly task: string;
}

/** Results in the layout of lm-evaluation-harness. */
export interface TaskResults {
  readonly results: Readonly<Record<string, TaskResult>>;
  readonly groups?: Readonly<Record<string, TaskResult>>;
  readonly [key: string]: unknown;
}

/**
 * @throws {GloraError} USAGE for a task that is not known, or shots of one that is not asked for; DATA for data that is missing or
 *   wrong; MODEL if the model does not predict the next token; FILE if `out` cannot be written; ABORTED
 */
export async function evaluateTasks(subject: Model | AdaptedModel, o: EvaluateTasksOptions): Promise<TaskResults> {
  const begin = Date.now();
  const { tasks, groups } = selectTasks(o.tasks ?? []);
  checkShots(o.shots, [...tasks, ...groups]);
  if (o.text?.content === "")
    throw new GloraError("DATA", `${o.text.name}: is empty; a text is expected.`, { file: o.text.name });
  if (o.out !== undefined) await contentOf(folderOf(o.out)); // a file in its place is told before anything is computed
  const prepared: PreparedTask[] = [];
  for (const task of tasks) {
    if (!o.data) throw new GloraError("USAGE", "Tasks need data.");
    const names = [task.name, ...groups.filter(({ members }) => members.includes(task.name)).map(({ name }) => name)];
    const limit = o.limit === undefined ? {} : { limit: o.limit };
    prepared.push(await prepareTask(task, o.data(task), { shots: shotsOf(o.shots ?? 0, names), ...limit }));
  }
  const adapted = "parameters" in subject ? subject : undefined;
  const model = "parameters" in subject ? subject.model : subject;
  const scorer = await modelScorer(model, {
    ...(adapted && { adapter: adapting(adapted) }),
    ...(o.batchSize !== undefined && { batchSize: o.batchSize }),
  });
  try {
    const store =
      o.out === undefined ? {} : { store: answersIn(folderOf(o.out)), model: await fingerprint(model, adapted) };
    const scored = await runTasks(prepared, scorer, {
      ...store,
      signal: o.signal,
      onProgress: (done, total, task) => o.onProgress?.({ unit: "document", done, total, task }),
    });
    const text = o.text && (await measured(scorer, o.text, o));
    const scores = await taskResults(scored, groups);
    const results: TaskResults = {
      ...scores,
      results: { ...(scores["results"] as TaskResults["results"]), ...(text && { perplexity: text }) },
      ...runFacts({
        modelName: basename(model.name),
        modelArgs: o.modelArgs ?? {},
        parameters: [...model.weights.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
        batchSize: o.batchSize,
        device: model.runtime.device,
        limit: o.limit,
        tokenizer: tokensOf(scorer),
        maxLength: scorer.maxLength,
        date: begin / 1000,
        seconds: (Date.now() - begin) / 1000,
        version: packageVersion(),
      }),
    };
    if (o.out !== undefined) await write(o.out, results, scored);
    return results;
  } finally {
    await scorer.dispose();
  }
}

/** The shots of a task, given under its name or that of a group that it belongs to. */
const shotsOf = (shots: number | Readonly<Record<string, number>>, names: readonly string[]): number =>
  typeof shots === "number" ? shots : (names.map((name) => shots[name]).find((count) => count !== undefined) ?? 0);

/** @throws {GloraError} USAGE for shots of something that is not asked for */
function checkShots(shots: EvaluateTasksOptions["shots"], asked: readonly { readonly name: string }[]): void {
  const names = asked.map(({ name }) => name);
  const unknown = typeof shots === "object" ? Object.keys(shots).find((name) => !names.includes(name)) : undefined;
  if (unknown === undefined) return;
  throw new GloraError("USAGE", `shots: "${unknown}" is none of the tasks that are asked for: ${names.join(", ")}.`, {
    found: unknown,
    expected: names,
  });
}

async function measured(
  scorer: ModelScorer,
  { name, content }: { readonly name: string; readonly content: string },
  o: EvaluateTasksOptions,
): Promise<TaskResult> {
  const logLikelihood = await scorer.rolling(content, {
    ...(o.signal && { signal: o.signal }),
    onProgress: (done, total) => o.onProgress?.({ unit: "token", done, total, task: name }),
  });
  return perplexities(name, content, logLikelihood);
}

function tokensOf({ tokenizer }: ModelScorer) {
  const token = (id: number | undefined) => [id === undefined ? null : tokenizer.piece(id), id] as const;
  return { pad: token(tokenizer.padId), eos: token(tokenizer.eosId), bos: token(tokenizer.bosId) };
}

/** Tells models apart: the hashes of the weights, and of the adapter's form and numbers. */
async function fingerprint(model: Model, adapted: AdaptedModel | undefined): Promise<string> {
  const { sha256 } = await describeBase(model.name, model.folder, model.checkpoint.files);
  return hashText(JSON.stringify([sha256, adapted ? await adapterPrint(adapted) : null]));
}

async function adapterPrint({ space, genome, parameters, replaced = new Map() }: AdaptedModel): Promise<unknown> {
  const weights: [string, string][] = [];
  for (const [name, { data }] of replaced) {
    const bytes = data.kind === "inline" ? data.bytes : await data.source.read(data.offset, data.length);
    weights.push([name, await hashBytes(bytes)]);
  }
  return [space.a, [...(genome ?? [])], await hashBytes(parameters), weights];
}

const isFile = (out: string): boolean => out.endsWith(".json");
/** The folder of everything that is kept. */
const folderOf = (out: string): string => (isFile(out) ? dirname(out) : out);

async function write(out: string, results: TaskResults, scored: readonly ScoredTask[]): Promise<void> {
  const time = new Date().toISOString().replaceAll(":", "-").replace("Z", "");
  const folder = folderOf(out);
  await made(folder);
  for (const { task, documents } of scored) {
    const records = await Promise.all(documents.map(sampleRecord));
    const lines = records.map((record) => `${JSON.stringify(record)}\n`);
    await writeFileAtomic(join(folder, `samples_${task.name}_${time}.jsonl`), lines.join(""));
  }
  const file = isFile(out) ? out : join(out, `results_${time}.json`);
  await writeFileAtomic(file, `${JSON.stringify(results, null, 2)}\n`);
}

/** The answers of earlier runs beside the results. */
function answersIn(folder: string): AnswerStore {
  return {
    read: (name) =>
      readFile(join(folder, name)).catch((thrown: NodeJS.ErrnoException) =>
        thrown.code === "ENOENT" ? undefined : fail(join(folder, name), thrown),
      ),
    async append(name, text) {
      await made(folder);
      await appendFile(join(folder, name), text).catch((thrown) => fail(join(folder, name), thrown));
    },
  };
}

const made = (folder: string): Promise<unknown> =>
  mkdir(folder, { recursive: true }).catch((thrown) => fail(folder, thrown));

const fail = (file: string, thrown: unknown): never => {
  throw new GloraError("FILE", `${file}: ${messageOf(thrown)}`, { file }, thrown);
};
