/** Candidates of a search ranked by the accuracy of benchmark tasks, in place of the loss on the validation split. */
import type { AdaptedModel } from "../adapters/adapted-model.js";
import type { Genome } from "../adapters/structure.js";
import { GloraError } from "../base/errors.js";
import { adapting } from "../evaluation/tasks/adapting.js";
import { selectTasks } from "../evaluation/tasks/index.js";
import { modelScorer } from "../evaluation/tasks/language-scorer.js";
import { type PreparedTask, prepareTask, type TaskData } from "../evaluation/tasks/prompts.js";
import { runTasks, type ScoredDocument } from "../evaluation/tasks/run-tasks.js";
import { type BenchmarkTask, scoredSplit } from "../evaluation/tasks/task.js";
import type { Score } from "./candidate.js";

/** What is said of it, as JSON for the run's config. */
export interface TaskFitnessSettings {
  /** Tasks and groups by their names in lm-evaluation-harness. */
  readonly tasks: readonly string[];
  /** The folder of their data. */
  readonly data: string;
  /** The first so many documents of each task. Default: 100. */
  readonly limit?: number;
}

export interface TaskFitness {
  readonly settings: TaskFitnessSettings;
  /** The data of a task: its splits by name. */
  readonly source: (task: BenchmarkTask) => TaskData;
}

export interface CandidateScorer {
  score(genome: Genome, signal: AbortSignal | undefined): Promise<Score>;
  dispose(): Promise<void>;
}

/**
 * The questions that rank candidates, from a split that no evaluation of their task scores: its validation split, or its
 * training split where validation is what is scored.
 *
 * @throws {GloraError} USAGE for a task that is not known, or has no such split; DATA for data that is missing or wrong
 */
export async function fitnessQuestions({ settings, source }: TaskFitness): Promise<PreparedTask[]> {
  const { tasks, limit = 100 } = settings;
  const prepared: PreparedTask[] = [];
  for (const task of selectTasks(tasks).tasks)
    prepared.push(await prepareTask(unscored(task), source(task), { shots: 0, limit }));
  return prepared;
}

/**
 * Scores genomes of a supernet: `accuracy` is the mean over tasks of the share of questions answered right (the likeliest
 * choice), `loss` the mean of −log p of the right choice.
 */
export async function taskScorer(net: AdaptedModel, questions: readonly PreparedTask[]): Promise<CandidateScorer> {
  let running: Genome | undefined;
  const scorer = await modelScorer(net.model, { adapter: adapting(net, () => running) });
  return {
    score: async (genome, signal) => {
      running = genome;
      const scored = await runTasks(questions, scorer, { signal });
      const documents = scored.flatMap((task) => task.documents);
      return {
        accuracy: mean(scored.map((task) => mean(task.documents.map(rightOf)))),
        loss: -mean(documents.map(({ likelihoods, question }) => likelihoods[question.gold]!.logLikelihood)),
      };
    },
    dispose: () => scorer.dispose(),
  };
}

/** 1 for a right answer; of tasks with a metric of their own, that. */
const rightOf = ({ metrics }: ScoredDocument): number => metrics["acc"] ?? Object.values(metrics)[0]!;

/** The task on a split that is for choosing; a data set has a `validation` split also where its task names none. */
function unscored(task: BenchmarkTask): BenchmarkTask {
  const { validation = "validation", train } = task.splits;
  const free = [validation, train].find((split) => split !== undefined && split !== scoredSplit(task));
  if (free === undefined)
    throw new GloraError(
      "USAGE",
      `${task.name}: its data has no examples but those that an evaluation scores, which must not choose. Take another task.`,
      { task: task.name },
    );
  const { test: _, ...others } = task.splits;
  return { ...task, splits: { ...others, validation: free } };
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
