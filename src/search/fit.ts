/**
 * The whole way: train a supernet (or the one structure of a preset), search a structure within the budget, train the
 * winner further, and test it once. Every phase can be interrupted and goes on from the store with the same bits.
 */
import { adaptedGraph } from "../adapters/adapted-graph.js";
import { type AdaptedModel, fixedModel, inheritedModel, supernet, trainableFeeds } from "../adapters/adapted-model.js";
import { assertFeasible, type Budget, count } from "../adapters/budget.js";
import { type PresetName, type PresetOptions, presetSpace } from "../adapters/presets.js";
import { onlyGenome, type Space } from "../adapters/space.js";
import { type Genome, genomeToJson } from "../adapters/structure.js";
import { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Dataset, Split, SplitName } from "../data/dataset.js";
import { evaluate } from "../evaluation/evaluate.js";
import type { Metrics } from "../evaluation/metrics.js";
import { headWeights, type Model } from "../models/model.js";
import { decodeTrainState, encodeTrainState } from "../training/checkpoint.js";
import type { TrainOptions } from "../training/options.js";
import { type Progress, trackProgress } from "../training/progress.js";
import { memoryStore, type RunStore, readStored } from "../training/store.js";
import { stepsOf, type TrainResult, train } from "../training/train.js";
import type { Candidate } from "./candidate.js";
import { evolve } from "./evolution.js";
import { gloraGenes } from "./genes.js";
import { decodeHistory, encodeCandidate } from "./history.js";
import { measureTimes } from "./measure.js";
import { type Plan, planDefault, planPaper, type SearchPlan } from "./plan.js";
import { defaultTraining } from "./recipe.js";

export interface FitOptions extends PresetOptions {
  /** Most adapter parameters of the result, or an interval; the head is not counted. Default: what the space reaches. */
  readonly budget?: number | Budget;
  /** Method: `glora` searches, the others leave one structure. Default: glora. */
  readonly preset?: PresetName;
  /** `paper`: the published settings. Default: planned from measured times to end within `maxSeconds`. */
  readonly recipe?: "default" | "paper";
  /** Seconds in which a planned fit is to end. Default: 3600. */
  readonly maxSeconds?: number;
  /** Settings that replace the recipe's. */
  readonly train?: Partial<TrainOptions>;
  readonly search?: Partial<SearchPlan>;
  /** Settings of the winner's further training; false leaves it out. */
  readonly further?: Partial<TrainOptions> | false;
  /** All chance comes from it. Default: 0. */
  readonly seed?: number;
  /** An adapted model whose supports and head training starts from. */
  readonly warmStart?: (adapted: AdaptedModel) => void;
  /** Where the run keeps what must survive an interruption. Default: memory. */
  readonly store?: RunStore;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: FitEvent) => void;
}

export type Phase = "data" | "measure" | "train" | "search" | "further" | "test";

export type FitEvent =
  | { readonly type: "plan"; readonly plan: Plan; readonly space: Space; readonly budget: Budget }
  | {
      readonly type: "progress";
      readonly phase: Phase;
      readonly progress: Progress;
      readonly unit: string;
      readonly detail: string;
    }
  | {
      readonly type: "validation";
      readonly phase: Phase;
      readonly epoch: number;
      readonly accuracy: number;
      readonly loss: number;
      readonly trainLoss: number;
    }
  | { readonly type: "note"; readonly text: string };

export interface FitResult {
  /** The fixed model that was chosen, with its trained numbers. */
  readonly adapted: AdaptedModel;
  readonly genome: Genome;
  /** Adapter parameters; the head is not counted. */
  readonly parameters: number;
  readonly plan: Plan;
  readonly validation: Metrics | undefined;
  readonly test: Metrics | undefined;
  readonly search?: {
    readonly best: Candidate<Genome>;
    readonly front: readonly Candidate<Genome>[];
    readonly evaluated: number;
    readonly note?: string;
  };
  /** Seconds by phase, of this call alone. */
  readonly seconds: Readonly<Partial<Record<Phase, number>>>;
}

/** The model with the head that the data needs: its own where the label names are the same, a new one otherwise. */
export function headFor(model: Model, labels: readonly string[]): Model {
  const own = model.head?.pretrained && model.labels?.length === labels.length;
  return own && model.labels!.every((label, i) => label === labels[i]) ? model : model.withHead(labels);
}

/**
 * @throws {GloraError} BUDGET before anything runs, if no structure meets the budget; ABORTED after saving, on `signal`
 */
export async function fit(base: Model, data: Dataset, o: FitOptions = {}): Promise<FitResult> {
  const { seed = 0, preset = "glora", store = memoryStore(), signal } = o;
  const model = headFor(base, data.labels);
  const space = presetSpace(preset, model.layers, o);
  const budget = budgetOf(space, o.budget);
  const seconds: Partial<Record<Phase, number>> = {};
  const timed = async <T>(phase: Phase, body: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    try {
      return await body();
    } finally {
      seconds[phase] = (seconds[phase] ?? 0) + (performance.now() - start) / 1000;
    }
  };
  const progress = (phase: Phase, unit: string, total: number, done = 0) => {
    const tracker = trackProgress(total, () => performance.now() / 1000, done);
    return (detail: string, items = 1) =>
      o.onEvent?.({ type: "progress", phase, unit, progress: tracker.advance(items), detail });
  };

  const splits = await timed("data", async () => {
    let read = 0;
    let report: ReturnType<typeof progress> | undefined;
    return data.prepare(model.input, o.train?.augment, {
      ...(signal && { signal }),
      onProgress: (done, total) => {
        report ??= progress("data", "example", total);
        report("", done - read);
        read = done;
      },
    });
  });
  if (splits.train.size === 0) throw new GloraError("DATA", `${data.name} has no training examples.`);

  const only = onlyGenome(space);
  const initial = async (adapted: AdaptedModel): Promise<AdaptedModel> => {
    const own = await headWeights(model);
    if (own) adapted.parameters.set(own, adapted.headOffset);
    o.warmStart?.(adapted);
    return adapted;
  };
  const fresh = rngStream(seed, "initial values");
  const net = await initial(only ? fixedModel(model, space, only, fresh) : supernet(model, space, fresh));
  const plan = await timed("measure", () => resolvePlan(net, splits, o, store));
  o.onEvent?.({ type: "plan", plan, space, budget });

  const run = { store, signal, o, progress };
  const trained = await timed("train", () => trainPhase("train", net, splits, plan.train, run));
  let adapted = net;
  let search: FitResult["search"];
  if (only) {
    // One structure: the best validated state is the result.
    if (trained.best) net.parameters.set(trained.best.parameters);
  } else {
    const searched = await timed("search", () => searchPhase(net, splits, budget, plan.search!, run));
    const { best, front, history, note } = searched;
    search = { best, front, evaluated: history.length, ...(note !== undefined && { note }) };
    adapted = inheritedModel(net, best.genome, rngStream(seed, "inherited values"));
    if (plan.further) {
      const further = await timed("further", () => trainPhase("further", adapted, splits, plan.further!, run));
      if (further.best) adapted.parameters.set(further.best.parameters);
    }
  }
  const genome = adapted.genome!;
  const scores = await timed("test", () => scoreSplits(adapted, splits, progress, signal));
  const parameters = count(genome, space.layers, space.a);
  const result: FitResult = { adapted, genome, parameters, plan, ...scores, ...(search && { search }), seconds };
  await store.write("result.json", `${JSON.stringify(resultToJson(result), null, 2)}\n`);
  return result;
}

/** What a result says of itself, without the trained numbers. */
export const resultToJson = ({ genome, parameters, validation, test, search, adapted }: FitResult) => ({
  layers: genomeToJson(genome),
  a: adapted.space.a,
  parameters,
  headParameters: adapted.parameters.length - adapted.headOffset,
  ...(search && {
    searchedValidation: { accuracy: search.best.accuracy, loss: search.best.loss },
    candidates: search.evaluated,
  }),
  ...(search && {
    front: search.front.map(({ parameters: p, accuracy, loss, index }) => ({
      parameters: p,
      accuracy,
      loss,
      candidate: index,
    })),
  }),
  validation,
  test,
});

function budgetOf(space: Space, budget: FitOptions["budget"]): Budget {
  const asked =
    typeof budget === "number" ? { min: 0, max: budget } : (budget ?? { min: 0, max: Number.MAX_SAFE_INTEGER });
  return assertFeasible(space, asked);
}

interface RunContext {
  readonly store: RunStore;
  readonly signal: AbortSignal | undefined;
  readonly o: FitOptions;
  readonly progress: (
    phase: Phase,
    unit: string,
    total: number,
    done?: number,
  ) => (detail: string, items?: number) => void;
}

/** Trains with a checkpoint `<phase>.safetensors`, from which an interrupted phase goes on. */
async function trainPhase(
  phase: "train" | "further",
  adapted: AdaptedModel,
  splits: Record<SplitName, Split>,
  options: TrainOptions,
  { store, signal, o, progress }: RunContext,
): Promise<TrainResult> {
  const file = `${phase}.safetensors`;
  const saved = await store.read(file);
  const resume = saved && (await decodeTrainState(saved, file));
  await trimLog(store, phase, resume?.step ?? 0);
  const { total } = stepsOf(splits.train.size, options);
  const report = progress(phase, "step", total, resume?.step ?? 0);
  let accuracy: number | undefined = resume?.best?.accuracy;
  return train(adapted, splits, options, {
    signal,
    resume,
    onStep: (_, __, loss) => {
      const score = accuracy === undefined ? "" : `, validation ${percent(accuracy)}`;
      report(`loss ${loss.toFixed(3)}${score}`);
    },
    onValidation: async (validation) => {
      accuracy = validation.accuracy;
      const { epoch, loss, trainLoss } = validation;
      o.onEvent?.({ type: "validation", phase, epoch, accuracy: validation.accuracy, loss, trainLoss });
      const scores = Object.fromEntries(
        Object.entries(validation.scores).map(([name, { confusion: _, ...metrics }]) => [name, metrics]),
      );
      await store.append("log.jsonl", `${JSON.stringify({ phase, ...validation, scores })}\n`);
    },
    onCheckpoint: async (state) => store.write(file, encodeTrainState(state)),
  });
}

/** Drops the log's lines that lie after the checkpoint: the resumed run writes them again. */
async function trimLog(store: RunStore, phase: string, step: number): Promise<void> {
  const log = await readStored(store, "log.jsonl");
  if (log === undefined) return;
  const kept = log.split("\n").filter((line) => {
    try {
      const entry = JSON.parse(line) as { phase?: string; step?: number };
      return entry.phase !== phase || (entry.step ?? 0) <= step;
    } catch {
      return false; // empty, or cut by the interruption
    }
  });
  await store.write("log.jsonl", kept.map((line) => `${line}\n`).join(""));
}

/** Scores candidates with inherited weights on the validation split; the history is the checkpoint. */
async function searchPhase(
  net: AdaptedModel,
  splits: Record<SplitName, Split>,
  budget: Budget,
  plan: SearchPlan,
  { store, signal, progress }: RunContext,
) {
  const { model, space, layout } = net;
  const file = "search.jsonl";
  if (splits.validation.size === 0)
    throw new GloraError("DATA", "A search needs validation examples: give the data a validation split.");
  const history = decodeHistory((await readStored(store, file)) ?? "", space, file);
  await store.write(file, history.map((candidate) => `${encodeCandidate(candidate)}\n`).join(""));
  const session = await model.runtime.open(adaptedGraph(model, { layout, head: "trainable" }), { name: "search" });
  let report: ReturnType<typeof progress> | undefined;
  try {
    const scoreOn = (split: Split) => async (genome: Genome) => {
      const { accuracy, loss } = await evaluate(session, split, model.head!.out, {
        feeds: trainableFeeds(net, genome),
        signal,
      });
      return { accuracy, loss };
    };
    const score = scoreOn(splits.validation);
    return await evolve({
      ...plan,
      finalists: undefined,
      genes: gloraGenes(space, budget),
      score,
      history,
      signal,
      onCandidate: async (candidate) => store.append(file, `${encodeCandidate(candidate)}\n`),
      onProgress: ({ done, total, best }) => {
        report ??= progress("search", "candidate", total, done - 1);
        report(`best ${percent(best.accuracy)}, loss ${best.loss.toFixed(3)}, ${best.parameters} parameters`);
      },
    });
  } finally {
    await session.dispose();
  }
}

/** The chosen model on the validation split, and once on the test split. */
async function scoreSplits(
  adapted: AdaptedModel,
  splits: Record<SplitName, Split>,
  progress: RunContext["progress"],
  signal: AbortSignal | undefined,
) {
  const { model, layout } = adapted;
  const session = await model.runtime.open(adaptedGraph(model, { layout, head: "trainable" }), { name: "test" });
  const report = progress("test", "example", splits.validation.size + splits.test.size);
  try {
    const score = async (split: Split): Promise<Metrics | undefined> => {
      if (split.size === 0) return undefined;
      let seen = 0;
      return evaluate(session, split, model.head!.out, {
        feeds: trainableFeeds(adapted),
        signal,
        onProgress: (done) => {
          report("", done - seen);
          seen = done;
        },
      });
    };
    return { validation: await score(splits.validation), test: await score(splits.test) };
  } finally {
    await session.dispose();
  }
}

/** The plan of the store, or a new one, measured where the recipe asks for it. */
async function resolvePlan(
  net: AdaptedModel,
  splits: Record<SplitName, Split>,
  o: FitOptions,
  store: RunStore,
): Promise<Plan> {
  const stored = await readStored(store, "plan.json");
  if (stored !== undefined) return JSON.parse(stored) as Plan;
  const seed = o.seed ?? 0;
  const searched = net.genome === undefined;
  const further = searched && o.further !== false;
  const training = { ...defaultTraining(seed), ...o.train, seed };
  const isGiven = o.train?.epochs !== undefined;
  const planned =
    o.recipe === "paper"
      ? planPaper(seed, searched)
      : planDefault({
          maxSeconds: o.maxSeconds ?? 3600,
          searched,
          further,
          times: isGiven ? undefined : await measureTimes(net, splits, training, o.signal),
          train: training,
          seed,
        });
  const plan: Plan = {
    ...planned,
    train: { ...planned.train, ...o.train, seed },
    ...(planned.search && { search: { ...planned.search, ...o.search, seed } }),
    ...(planned.further && { further: { ...planned.further, ...(o.further || {}), seed } }),
  };
  await store.write("plan.json", `${JSON.stringify(plan, null, 2)}\n`);
  return plan;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
