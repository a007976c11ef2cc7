/** Scores a language model on tasks, a document at a time; what is done stays done. */
import { hashText } from "./hash.js";
import { scoreDocument } from "./metrics.js";
import type { LikelihoodRequest, PreparedTask, TaskDocument } from "./prompts.js";
import type { LanguageScorer, Likelihood } from "./scorer.js";

/** Where finished documents are kept: a folder, or memory. */
export interface AnswerStore {
  read(name: string): Promise<Uint8Array | undefined>;
  append(name: string, text: string): Promise<void>;
}

export interface ScoredDocument extends TaskDocument {
  /** Of each choice, in their order. */
  readonly likelihoods: readonly Likelihood[];
  readonly metrics: Readonly<Record<string, number>>;
}

export interface ScoredTask extends PreparedTask {
  readonly documents: readonly ScoredDocument[];
}

export interface RunTasksOptions {
  /** Keeps the answers, a file a task; a run that was interrupted goes on from there. */
  readonly store?: AnswerStore;
  /** Tells models apart in the store: answers of another model are not taken. */
  readonly model?: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of documents done and of all, those of earlier runs among them, and the task at work. */
  readonly onProgress?: (done: number, total: number, task: string) => void;
}

/** @throws {GloraError} ABORTED by `signal`; what the scorer throws */
export async function runTasks(
  prepared: readonly PreparedTask[],
  scorer: LanguageScorer,
  o: RunTasksOptions = {},
): Promise<ScoredTask[]> {
  const total = prepared.reduce((sum, { documents }) => sum + documents.length, 0);
  let done = 0;
  const scored: ScoredTask[] = [];
  for (const task of prepared) {
    const { name } = task.task;
    const answers = await answersOf(task, scorer, o, (count) => {
      done += count;
      o.onProgress?.(done, total, name);
    });
    const documents = task.documents.map((document, i): ScoredDocument => {
      const likelihoods = answers[i]!;
      const values = likelihoods.map(({ logLikelihood }) => logLikelihood);
      return { ...document, likelihoods, metrics: scoreDocument(task.task, document.doc, document.question, values) };
    });
    scored.push({ ...task, documents });
  }
  return scored;
}

/** The likelihoods of the choices of each document: from the store, or else from the model. */
async function answersOf(
  { task, documents }: PreparedTask,
  scorer: LanguageScorer,
  o: RunTasksOptions,
  onDone: (count: number) => void,
): Promise<readonly (readonly Likelihood[])[]> {
  const file = `answers_${task.name}.jsonl`;
  const keys = await Promise.all(documents.map(({ requests }) => hashText(JSON.stringify([o.model ?? "", requests]))));
  const known = o.store ? await knownAnswers(o.store, file) : new Map<string, Likelihood[]>();
  const open = [...documents.keys()].filter((i) => !known.has(keys[i]!));
  if (open.length < documents.length) onDone(documents.length - open.length);

  const requests: LikelihoodRequest[] = [];
  const owners: number[] = [];
  for (const i of open)
    for (const request of documents[i]!.requests) {
      requests.push(request);
      owners.push(i);
    }
  const parts = new Map<number, Map<number, readonly Likelihood[]>>();
  let writing = Promise.resolve();
  const onResult = (index: number, likelihoods: readonly Likelihood[]): void => {
    const owner = owners[index]!;
    const part = parts.get(owner) ?? new Map();
    parts.set(owner, part.set(index, likelihoods));
    if (part.size < documents[owner]!.requests.length) return;
    const ordered = [...part.keys()].sort((a, b) => a - b).flatMap((key) => [...part.get(key)!]);
    known.set(keys[owner]!, ordered);
    const line = JSON.stringify({
      key: keys[owner],
      answers: ordered.map(({ logLikelihood, greedy }) => [logLikelihood, greedy]),
    });
    if (o.store) writing = writing.then(() => o.store!.append(file, `${line}\n`));
    onDone(1);
  };
  try {
    if (requests.length > 0) await scorer.logLikelihoods(requests, { signal: o.signal, onResult });
  } finally {
    await writing;
  }
  return keys.map((key) => known.get(key)!);
}

/** Answers of earlier runs; a line that a killed process left half written is passed over, and ended. */
async function knownAnswers(store: AnswerStore, file: string): Promise<Map<string, Likelihood[]>> {
  const text = new TextDecoder().decode((await store.read(file)) ?? new Uint8Array());
  const known = new Map<string, Likelihood[]>();
  for (const line of text.split("\n")) {
    const answer = parse(line);
    if (answer)
      known.set(
        answer.key,
        answer.answers.map(([logLikelihood, greedy]) => ({ logLikelihood, greedy })),
      );
  }
  if (text !== "" && !text.endsWith("\n")) await store.append(file, "\n");
  return known;
}

function parse(line: string): { readonly key: string; readonly answers: readonly [number, boolean][] } | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
