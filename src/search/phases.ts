/** The phases of a fit; each goes on from what the store holds of it. */
import { type AdaptedModel, trainableFeeds } from "../adapters/adapted-model.js";
import type { Budget } from "../adapters/budget.js";
import type { Genome } from "../adapters/structure.js";
import type { Split, SplitName } from "../data/dataset.js";
import { evaluate, scoringGraph } from "../evaluation/evaluate.js";
import type { Metrics } from "../evaluation/metrics.js";
import type { PreparedTask } from "../evaluation/tasks/prompts.js";
import { Fields } from "../formats/fields.js";
import { decodeTrainState, encodeTrainState } from "../training/checkpoint.js";
import type { TrainOptions } from "../training/options.js";
import { fileOf, type RunStore, readStored } from "../training/store.js";
import { stepsOf, type TrainResult, train } from "../training/train.js";
import type { Score } from "./candidate.js";
import type { FitEvent, Phase, Report } from "./events.js";
import { evolve } from "./evolution.js";
import { gloraGenes } from "./genes.js";
import { decodeHistory, encodeCandidate } from "./history.js";
import { brokenLine, jsonLines } from "./json-lines.js";
import { candidatesOf, type SearchPlan } from "./plan.js";
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

/** Trains with a checkpoint `<phase>.safetensors`, from which an interrupted phase goes on. */
export async function trainPhase(
  phase: "train" | "further",
  adapted: AdaptedModel,
  splits: Record<SplitName, Split>,
  options: TrainOptions,
  { store, signal, checkpointSeconds = CHECKPOINT_SECONDS, tell, progress }: RunContext,
): Promise<TrainResult> {
  const file = `${phase}.safetensors`;
  const saved = await store.read(file);
  const resume = saved && (await decodeTrainState(saved, fileOf(store, file)));
  const { total } = stepsOf(splits.train.size, options);
  const before = resume?.step ?? 0;
  await trimLog(store, phase, before);
  if (before > 0 && before < total)
    tell({ type: "note", text: `${phase}: going on after step ${before} of ${total}.` });
  const report = progress(phase, "step", total, before);
  let accuracy = resume?.best?.accuracy;
  let savedAt = performance.now();
  return train(adapted, splits, options, {
    signal,
    resume,
    onStep: (step, _, loss) => {
      const score = accuracy === undefined ? "" : `, validation ${percent(accuracy)}`;
      report(`loss ${loss.toFixed(3)}${score}`, step);
    },
    onValidation: async (validation) => {
      const { epoch, loss, trainLoss } = validation;
      accuracy = validation.accuracy;
      tell({ type: "validation", phase, epoch, accuracy, loss, trainLoss });
      const scores = Object.fromEntries(
        Object.entries(validation.scores).map(([name, metrics]) => [name, { ...metrics, confusion: undefined }]),
      );
      await store.append("log.jsonl", `${JSON.stringify({ phase, ...validation, scores })}\n`);
    },
    checkpointDue: () => performance.now() - savedAt >= 1000 * checkpointSeconds,
    onCheckpoint: async (state) => {
      await store.write(file, encodeTrainState(state));
      savedAt = performance.now();
    },
  });
}

/** Drops the log's lines that lie after the checkpoint: the resumed run writes them again. */
async function trimLog(store: RunStore, phase: string, step: number): Promise<void> {
  const log = await readStored(store, "log.jsonl");
  if (log === undefined) return;
  const file = fileOf(store, "log.jsonl");
  const kept = jsonLines(log, file).filter(({ json, number }) => {
    const entry = new Fields(json);
    const place = { phase: entry.text("phase"), step: entry.natural("step", undefined, 0) };
    if (entry.problems.length > 0) throw brokenLine(file, number, `not a validation (${entry.problems[0]})`);
    return place.phase !== phase || place.step <= step;
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
  const { finalists: count = 0 } = plan;
  let done = history.length + history.filter(({ rescored }) => rescored).length;
  const report = progress("search", "candidate", candidatesOf(plan) + count, done);
  const scoreOn = (split: Split, genome: Genome): Promise<Metrics> =>
    evaluate(session, split, model, { feeds: trainableFeeds(net, genome), signal });
  try {
    return await evolve({
      ...plan,
      genes: gloraGenes(space, budget),
      score: (genome) => scorer?.score(genome, signal) ?? scoreOn(splits.validation, genome),
      finalists: {
        count,
        score: async (genome) => pooled(await scoreOn(splits.validation, genome), await scoreOn(splits.train, genome)),
      },
      history,
      signal,
      onCandidate: (candidate) => store.append(file, encodeCandidate(candidate)),
      onProgress: ({ best }) => {
        done++;
        report(`best ${percent(best.accuracy)}, loss ${best.loss.toFixed(3)}, ${best.parameters} parameters`, done);
      },
    });
  } finally {
    await session.dispose();
    await scorer?.dispose();
  }
}

/** The score of two splits together. */
function pooled(a: Metrics, b: Metrics): Score {
  // The loss is a mean over what is scored: tokens, or examples.
  const [m, n] = [a, b].map((metrics) => ("tokens" in metrics ? Number(metrics.tokens) : metrics.examples)) as [
    number,
    number,
  ];
  const mean = (x: number, y: number): number => (x * m + y * n) / (m + n);
  return { accuracy: mean(a.accuracy, b.accuracy), loss: mean(a.loss, b.loss) };
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
