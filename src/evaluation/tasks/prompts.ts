/** Documents with their prompts: description, shots and question, equal to the letter to lm-evaluation-harness 0.4.13. */
import { GloraError } from "../../base/errors.js";
import { pythonRandom } from "../../base/mt19937.js";
import { type BenchmarkTask, type Doc, type Question, scoredSplit, shotSplit } from "./task.js";

/** The seed that every task draws its shots from, as the harness does unless told otherwise. */
export const SHOT_SEED = 1234;

/** Texts whose probability behind a context is asked for. */
export interface LikelihoodRequest {
  readonly context: string;
  readonly continuations: readonly string[];
}

/** A document of a task, ready to be scored. */
export interface TaskDocument {
  /** Its place in its split. */
  readonly id: number;
  readonly doc: Doc;
  readonly question: Question;
  /** One with all choices, or one for each choice where the choices stand in the context. */
  readonly requests: readonly LikelihoodRequest[];
}

/** The splits of a task's data by name: the one that is scored, and the one of the shots where there are any. */
export type TaskData = (split: string) => Promise<readonly Doc[]>;

export interface PrepareTaskOptions {
  /** Solved examples in front of each question. */
  readonly shots: number;
  /** The first so many documents; below 1 it is a share of them, rounded up. Default: all. */
  readonly limit?: number;
}

export interface PreparedTask {
  readonly task: BenchmarkTask;
  readonly shots: number;
  /** Number of documents before the limit. */
  readonly original: number;
  readonly documents: readonly TaskDocument[];
}

/** @throws {GloraError} DATA naming the document, if one lacks what its task needs or there are too few for the shots */
export async function prepareTask(
  task: BenchmarkTask,
  data: TaskData,
  { shots: asked, limit }: PrepareTaskOptions,
): Promise<PreparedTask> {
  const shots = task.fixedShots ?? asked;
  const read = async (split: string): Promise<Doc[]> =>
    (await data(split)).map((doc, i) => located(task, split, i, () => task.process?.(doc) ?? doc));
  const all = await read(scoredSplit(task));
  if (all.length === 0)
    throw new GloraError("DATA", `${task.name}: its ${scoredSplit(task)} split is empty.`, { task: task.name });
  const docs = limit === undefined ? all : all.slice(0, limit < 1 ? Math.ceil(all.length * limit) : limit);
  const pool = shots > 0 ? await read(shotSplit(task)) : [];
  const drawn = shots > 0 ? drawShots(task, pool, docs, shots) : [];
  const examples = new Map<Doc, string>();
  const example = (doc: Doc): string => {
    const known = examples.get(doc);
    if (known !== undefined) return known;
    const text = located(task, shotSplit(task), pool.indexOf(doc), () => solved(questionOf(task, doc)));
    examples.set(doc, text);
    return text;
  };
  const documents = docs.map((doc, id): TaskDocument => {
    const question = located(task, scoredSplit(task), id, () => questionOf(task, doc));
    const before = (task.description ?? "") + (drawn[id] ?? []).map(example).join("");
    return { id, doc, question, requests: requestsOf(question, before) };
  });
  return { task, shots, original: all.length, documents };
}

/** A question with its right answer, as it stands in front of another. */
function solved({ prompts, answers, gold }: Question): string {
  const prompt = prompts[prompts.length === 1 ? 0 : gold]!;
  const answer = answers[answers.length === 1 ? 0 : gold]!;
  // Where the answer is what is left of a sentence, nothing may be left.
  return answer === "" && answers.length === 1 ? prompt : `${prompt} ${answer}\n\n`;
}

/** The question of a document, which must name one of its choices as the right one. */
function questionOf(task: BenchmarkTask, doc: Doc): Question {
  const question = task.question(doc);
  const choices = Math.max(question.prompts.length, question.answers.length);
  if (question.gold >= 0 && question.gold < choices) return question;
  throw new GloraError("DATA", `its answer is none of its ${choices} choices.`, { choices });
}

function requestsOf({ prompts, answers }: Question, before: string): LikelihoodRequest[] {
  const continuations = answers.map((answer) => ` ${answer}`);
  return prompts.map((prompt) => ({ context: before + prompt, continuations }));
}

/**
 * The shots of each document. One stream of chance runs through the documents of a task, so all are drawn before any is
 * scored: a run that goes on after an interruption sees the same.
 */
function drawShots(task: BenchmarkTask, pool: readonly Doc[], docs: readonly Doc[], shots: number): Doc[][] {
  // The harness compares the names of two splits here; where a task has no test split both are absent, hence equal, and
  // one shot more is drawn although a training document is never the one that is asked.
  const apart = !task.firstShots && task.splits.shots === task.splits.test;
  const least = shots + (apart ? 1 : 0);
  if (pool.length < least)
    throw new GloraError(
      "DATA",
      `${task.name}: ${shots} shots need at least ${least} documents in its ${shotSplit(task)} split, found ${pool.length}. ` +
        "Ask for fewer shots.",
      { task: task.name, expected: least, actual: pool.length },
    );
  if (task.firstShots) return docs.map(() => pool.slice(0, shots));
  const chance = pythonRandom(SHOT_SEED);
  const draw = (from: readonly Doc[], count: number): Doc[] => chance.sample(from.length, count).map((i) => from[i]!);
  return docs.map((doc) => {
    if (!apart) return draw(pool, shots);
    const others = draw(pool, shots + 1).filter((drawn) => !sameDoc(drawn, doc));
    if (others.length >= shots) return others.slice(0, shots);
    return draw(
      pool.filter((other) => !sameDoc(other, doc)),
      shots,
    );
  });
}

/** Whether two values of JSON are equal. */
function sameDoc(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return keys.length === others.length && keys.every((key) => sameDoc((a as Doc)[key], (b as Doc)[key]));
}

/** Says of what document an error is. */
function located<T>(task: BenchmarkTask, split: string, index: number, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof GloraError)) throw thrown;
    const where = `${task.name}: document ${index + 1} of its ${split} split`;
    throw new GloraError(thrown.code, `${where}: ${thrown.message}`, {
      ...thrown.details,
      task: task.name,
      split,
      index,
    });
  }
}
