/** The phases of a fit; each goes on from what the store holds of it. */
import { type AdaptedModel, trainableFeeds } from "../adapters/adapted-model.js";
import type { Budget } from "../adapters/budget.js";
import type { Genome } from "../adapters/structure.js";
import { GloraError } from "../base/errors.js";
import type { Split, SplitName } from "../data/dataset.js";
import { evaluate, scoringGraph } from "../evaluation/evaluate.js";
import type { Metrics } from "../evaluation/metrics.js";
import type { PreparedTask } from "../evaluation/tasks/prompts.js";
import { Fields } from "../formats/fields.js";
import { decodeTrainState, encodeTrainState } from "../training/checkpoint.js";
import type { TrainOptions } from "../training/options.js";
import { fileOf, type RunStore, readStored } from "../training/store.js";
import { stepsOf, type TrainResult, type TrainState, train } from "../training/train.js";
import type { FitEvent, Phase, Report } from "./events.js";
import { evolve } from "./evolution.js";
import { gloraGenes } from "./genes.js";
import { decodeHistory, encodeCandidate } from "./history.js";
import { brokenLine, jsonLines } from "./json-lines.js";
import { candidatesOf, type SearchPlan } from "./plan.js";
import { seedGenomes } from "./seeds.js";
import { taskScorer } from "./task-fitness.js";

export interface RunContext {
  readonly store: RunStore;
  readonly signal: AbortSignal | undefined;
  readonly checkpointSeconds: number | undefined;
  readonly tell: (event: FitEvent) => void;
  readonly progress: (phase: Phase, unit: string, total: number, before?: number) => Report;
}

/** Seconds between checkpoints: what a killed process loses at most. */
const CHECKPOINT_SECONDS = 30;

/** What is trained, and how far. */
export interface Leg {
  readonly phase: "train" | "finals" | "further";
  /** Of its checkpoint `<name>.safetensors`, and of its lines in the log. Default: the phase's. */
  readonly name?: string;
  /** Which of several trainings of the phase, for people: "finalist 2 of 4". */
  readonly part?: string;
  /** Epochs after which it pauses, once they are validated: its schedule stays that of the whole. Default: never. */
  readonly until?: number;
}

/**
 * Trains with a checkpoint, from which an interrupted phase goes on; a pause is such an interruption.
 *
 * @returns the best validation so far; undefined where there was none
 */
export async function trainPhase(
  { phase, name = phase, part, until }: Leg,
  adapted: AdaptedModel,
  splits: Record<SplitName, Split>,
  options: TrainOptions,
  { store, signal, checkpointSeconds = CHECKPOINT_SECONDS, tell, progress }: RunContext,
): Promise<Pick<TrainResult, "best" | "stoppedEarly">> {
  const file = `${name}.safetensors`;
  const saved = await store.read(file);
  const resume = saved && (await decodeTrainState(saved, fileOf(store, file)));
  const { total: all, perEpoch } = stepsOf(splits.train.size, options);
  const total = until === undefined ? all : Math.min(all, until * perEpoch);
  const before = resume?.step ?? 0;
  await trimLog(store, name, before);
  const pausesAt = ({ step, lossCount }: TrainState): boolean =>
    until !== undefined && step >= total && lossCount === 0;
  if (resume && pausesAt(resume)) return { best: resume.best, stoppedEarly: false };
  if (before > 0 && before < total) tell({ type: "note", text: `${name}: going on after step ${before} of ${total}.` });
  const report = progress(phase, "step", total, before);
  const pause = new AbortController();
  let paused: TrainState | undefined;
  let accuracy = resume?.best?.accuracy;
  let savedAt = performance.now();
  return train(adapted, splits, options, {
    signal: signal ? AbortSignal.any([signal, pause.signal]) : pause.signal,
    resume,
    onStep: (step, _, loss) => {
      const score = accuracy === undefined ? "" : `, validation ${percent(accuracy)}`;
      report(`${part === undefined ? "" : `${part}, `}loss ${loss.toFixed(3)}${score}`, step);
    },
    onValidation: async (validation) => {
      const { epoch, loss, trainLoss } = validation;
      accuracy = validation.accuracy;
      tell({ type: "validation", phase, ...(part !== undefined && { part }), epoch, accuracy, loss, trainLoss });
      const scores = Object.fromEntries(
        Object.entries(validation.scores).map(([name, metrics]) => [name, { ...metrics, confusion: undefined }]),
      );
      await store.append("log.jsonl", `${JSON.stringify({ phase: name, ...validation, scores })}\n`);
    },
    checkpointDue: () => performance.now() - savedAt >= 1000 * checkpointSeconds,
    onCheckpoint: async (state) => {
      await store.write(file, encodeTrainState(state));
      savedAt = performance.now();
      if (state.lossCount === 0) report.skip(); // behind a validation; else amid a step
      if (!pausesAt(state)) return;
      paused = state;
      pause.abort();
    },
  }).catch((thrown: unknown) => {
    if (!paused || signal?.aborted) throw thrown;
    return { best: paused.best, stoppedEarly: false };
  });
}

/** Of the errors of training, the one that a lower rate would have spared. */
export const hasDiverged = (thrown: unknown): thrown is GloraError =>
  thrown instanceof GloraError && thrown.code === "CONFIG" && "step" in thrown.details;

/** Drops the log's lines that lie after the checkpoint: the resumed run writes them again. */
async function trimLog(store: RunStore, name: string, step: number): Promise<void> {
  const log = await readStored(store, "log.jsonl");
  if (log === undefined) return;
  const file = fileOf(store, "log.jsonl");
  const kept = jsonLines(log, file).filter(({ json, number }) => {
    const entry = new Fields(json);
    const place = { phase: entry.text("phase"), step: entry.natural("step", undefined, 0) };
    if (entry.problems.length > 0) throw brokenLine(file, number, `not a validation (${entry.problems[0]})`);
    return place.phase !== name || place.step <= step;
  });
  await store.write("log.jsonl", kept.map(({ text }) => text).join(""));
}

/** Scores candidates with inherited weights on the validation split; the history is the checkpoint. */
export async function searchPhase(
  net: AdaptedModel,
  splits: Record<SplitName, Split>,
  budget: Budget,
  plan: SearchPlan,
  questions: readonly PreparedTask[] | undefined,
  { store, signal, progress }: RunContext,
) {
  const { model, space, layout } = net;
  const file = "search.jsonl";
  const place = fileOf(store, file);
  const lines = jsonLines((await readStored(store, file)) ?? "", place);
  const history = decodeHistory(lines, space, place);
  await store.write(file, lines.map(({ text }) => text).join(""));
  const graph = scoringGraph(model, { layout, head: "trainable" });
  const session = await model.runtime.open(graph, { name: "search", keepArena: true });
  const scorer = questions && (await taskScorer(net, questions));
  const report = progress("search", "candidate", candidatesOf(plan), history.length);
  const scoreOn = (split: Split, genome: Genome): Promise<Metrics> =>
    evaluate(session, split, model, { feeds: trainableFeeds(net, genome), signal });
  try {
    return await evolve({
      ...plan,
      genes: gloraGenes(space, budget),
      score: (genome) => scorer?.score(genome, signal) ?? scoreOn(splits.validation, genome),
      ...(plan.seeded && { seeds: seedGenomes(space, budget) }),
      history,
      signal,
      onCandidate: (candidate) => store.append(file, encodeCandidate(candidate)),
      onProgress: ({ best, done }) => {
        report(`best ${percent(best.accuracy)}, loss ${best.loss.toFixed(3)}, ${best.parameters} parameters`, done);
      },
    });
  } finally {
    await session.dispose();
    await scorer?.dispose();
  }
}

/** The chosen model on the validation split, and once on the test split. */
export async function scoreSplits(
  adapted: AdaptedModel,
  splits: Record<SplitName, Split>,
  { signal, progress }: RunContext,
): Promise<{ readonly validation: Metrics | undefined; readonly test: Metrics | undefined }> {
  const { model, layout } = adapted;
  const session = await model.runtime.open(scoringGraph(model, { layout, head: "trainable" }), { name: "scores" });
  const report = progress("scores", "example", splits.validation.size + splits.test.size);
  const feeds = trainableFeeds(adapted);
  const score = async (split: Split, before: number): Promise<Metrics | undefined> => {
    if (split.size === 0) return undefined;
    const onProgress = (done: number) => report("", before + done);
    return evaluate(session, split, model, { feeds, signal, onProgress });
  };
  try {
    return {
      validation: await score(splits.validation, 0),
      test: await score(splits.test, splits.validation.size),
    };
  } finally {
    await session.dispose();
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
