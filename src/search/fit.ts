import { type AdaptedModel, fixedModel, inheritedModel, supernet } from "../adapters/adapted-model.js";
import type { AdapterFile } from "../adapters/adapter-file.js";
import { atSizeOf, attachAdapter, imageSizeNote } from "../adapters/attach.js";
import { assertFeasible, type Budget, count, feasibility } from "../adapters/budget.js";
import { embed } from "../adapters/parameters.js";
import { type PresetName, type PresetOptions, presetSpace } from "../adapters/presets.js";
import { onlyGenome, type Space } from "../adapters/space.js";
import { type Genome, genomeToJson } from "../adapters/structure.js";
import { GloraError } from "../base/errors.js";
import { rngStream } from "../base/rng.js";
import type { Dataset, Split, SplitName } from "../data/dataset.js";
import type { Task } from "../data/task.js";
import type { Metrics } from "../evaluation/metrics.js";
import { Fields, throwProblems } from "../formats/fields.js";
import { parseJson } from "../formats/folder.js";
import { headTensors, headWeights, type Model } from "../models/model.js";
import { lossOfTask } from "../models/problem.js";
import { cacheFeatures } from "../training/features.js";
import { checkTrainOptions, type TrainOptions } from "../training/options.js";
import { formatDuration } from "../training/progress.js";
import { fileOf, memoryStore, type RunStore, readStored } from "../training/store.js";
import { checkSplits, classesOf, stepsOf } from "../training/train.js";
import type { Candidate } from "./candidate.js";
import { type FitEvent, type Phase, type Report, stopwatch } from "./events.js";
import type { EvolutionResult } from "./evolution.js";
import { type Finalist, type Finals, finalistsOf, finalsPhase } from "./finals.js";
import { measureTimes } from "./measure.js";
import { type RunContext, scoreSplits, searchPhase, trainPhase } from "./phases.js";
import { type Plan, planDefault, planPaper, readPlan, SEARCH_BY_TASKS, type SearchPlan } from "./plan.js";
import { type Recipe, trainingOf } from "./recipe.js";
import { beginRun, checkRun, configOf, type Json } from "./run-config.js";
import { fitnessQuestions, type TaskFitness } from "./task-fitness.js";

export interface FitOptions extends PresetOptions {
  /** Most adapter parameters of the result, or an interval; the head is not counted. Default: what the space reaches. */
  readonly budget?: number | Budget;
  /** Method: `glora` searches, the others leave one structure. Default: glora. */
  readonly preset?: PresetName;
  /** `paper`: the published settings. Default: planned from measured times to end within `maxSeconds`. */
  readonly recipe?: Recipe;
  /** Seconds in which a planned fit is to end. Default: 3600. */
  readonly maxSeconds?: number;
  /** Settings that replace the recipe's. */
  readonly train?: Partial<TrainOptions>;
  readonly search?: Partial<SearchPlan>;
  /** Rank candidates by the accuracy of benchmark tasks, of a language model, instead of by the validation split. */
  readonly taskFitness?: TaskFitness;
  /** Settings of the winner's further training; false leaves it out. Its inputs change as those of `train` do. */
  readonly further?: Partial<Omit<TrainOptions, "augment">> | false;
  /** A stored plan to take as it is, in place of recipe, time and settings. */
  readonly plan?: Plan;
  /** All chance comes from it. Default: 0. */
  readonly seed?: number;
  /** Warm start: supports that training starts from, and the head where its labels are the data's. */
  readonly adapter?: AdapterFile;
  /** The file that stood in for the model's config.json: remembered for those who open the model again. */
  readonly modelConfig?: string;

  /** Stop before the search, or before further training: a later call with the same store goes on. Default: never. */
  readonly stopAfter?: "train" | "search";
  /** Where the run keeps what must survive an interruption. Default: memory. */
  readonly store?: RunStore;
  /** Seconds of training between checkpoints, beside those of every validation. Default: 30. */
  readonly checkpointSeconds?: number;
  /** Versions and places, to be kept with the run's config. */
  readonly origin?: { readonly [key: string]: Json };
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: FitEvent) => void;
}

export type { FitEvent, Phase };

export interface FitResult {
  /** The chosen structure with its trained numbers; the supernet where the fit stopped after training it. */
  readonly adapted: AdaptedModel;
  /** Its structure; undefined for a supernet. */
  readonly genome: Genome | undefined;
  /** Adapter parameters; the head is not counted. Undefined for a supernet. */
  readonly parameters: number | undefined;
  readonly plan: Plan;
  /** Scores of the result; undefined where there are no examples, and where the fit stopped before its end. */
  readonly validation: Metrics | undefined;
  readonly test: Metrics | undefined;
  readonly search?: SearchSummary;
  /** Seconds by phase, of this call alone. */
  readonly seconds: Readonly<Partial<Record<Phase, number>>>;
}

export interface SearchSummary {
  /** By its inherited weights. */
  readonly best: Candidate<Genome>;
  /** The result's: of the finalists the one that was trained to the end, the best where there were none. */
  readonly chosen: Candidate<Genome>;
  /** Parameters against fitness. */
  readonly front: readonly Candidate<Genome>[];
  readonly evaluated: number;
  /** Those that were trained before one was chosen, with their scores then; absent where the best candidate was taken. */
  readonly finalists?: readonly Finalist[];
  /** Why the search ended early, where it did. */
  readonly note?: string;
}

/** The model with the head that the data needs: its own where it says the same of the same labels, a new one otherwise. */
export function headFor(model: Model, task: Task): Model {
  if (!("labels" in task)) return model.withTask(task);
  const own = model.head?.pretrained && model.loss === lossOfTask(task) && model.labels?.length === task.labels.length;
  return own && model.labels!.every((label, i) => label === task.labels[i]) ? model : model.withTask(task);
}

/**
 * @throws {GloraError} BUDGET or DATA before anything runs; CONFIG if the store holds a run of other settings, or training
 *   diverges; ABORTED after saving, on `signal`
 */
export async function fit(opened: Model, data: Dataset, o: FitOptions = {}): Promise<FitResult> {
  const base = o.adapter ? await atSizeOf(o.adapter, opened) : opened;
  const { seed = 0, preset = "glora", recipe = "default", store = memoryStore(), signal } = o;
  const tell = (event: FitEvent): void => o.onProgress?.(event);
  const { seconds, timed, progress } = stopwatch(tell);
  const full = headFor(base, data.task);
  const layers = o.layers ?? full.targets;
  const space = presetSpace(preset, full.layers, { ...o, ...(layers && { layers }) });
  const only = onlyGenome(space);
  const budget = budgetOf(space, o.budget);
  const classes = classesOf(full);
  const trained = { classes, loss: full.loss };
  const asked = trainingOf(recipe, seed, o.train, preset === "glora");
  checkTrainOptions(asked, trained);
  checkTrainOptions(o.further || {}, trained);
  if (classes === 1 || (data.task.kind === "classes" && classes < 2))
    throw new GloraError(
      "DATA",
      `${data.name} has ${classes === 1 ? "one class" : "no classes"}; at least two are needed.`,
    );
  refuseIdle(full, space, data, o, only !== undefined);
  const questions = o.taskFitness && (await fitnessQuestions(o.taskFitness));
  const config = configOf(base, data, o);
  const begun = await checkRun(store, config, data);

  const stored = await storedPlan(store);
  const earlier = await storedScores(store);
  const known = stored ?? o.plan;
  const raw = await timed("data", async () => {
    let report: Report | undefined;
    return data.prepare(full.input, (known?.train ?? o.train)?.augment, {
      ...(signal && { signal }),
      onProgress: (done, total) => {
        report ??= progress("data", "example", total);
        report("", done);
      },
    });
  });
  const sized = o.adapter && imageSizeNote(o.adapter, opened);
  for (const text of [...(sized === undefined ? [] : [sized]), ...(data.notes?.() ?? [])]) tell({ type: "note", text });
  checkSplits(raw, classes);
  if (!only && raw.validation.size === 0)
    throw new GloraError(
      "DATA",
      `${data.name} has no validation examples, by which a search could choose: split some off.`,
    );

  const settings = known?.train ?? inParts(asked, raw.train);
  // A head on a frozen trunk that gives the same features every time: the trunk runs once.
  const headOnly = !earlier && space.layers.length === 0 && !settings.augment && !settings.dropPath;
  const { model, splits } = headOnly
    ? await timed("features", () => {
        const report = progress("features", "example", raw.train.size + raw.validation.size + raw.test.size);
        return cacheFeatures(full, raw, { signal, onProgress: (done) => report("", done) });
      })
    : { model: full, splits: raw };

  const fresh = rngStream(seed, "initial values");
  const net = only ? fixedModel(model, space, only, fresh) : supernet(model, space, fresh);
  await setInitialValues(net, full, o.adapter);
  const plan = known ?? (await timed("measure", () => makePlan(net, splits, settings, o)));
  for (const training of [plan.train, plan.further]) checkTrainOptions(training ?? {}, trained);
  if (!begun) await beginRun(store, config, data);
  if (!stored) await store.write("plan.json", `${JSON.stringify(plan, null, 2)}\n`);
  tell({ type: "plan", plan, space, budget });
  const limit = o.maxSeconds ?? 3600;
  if (!known && plan.seconds > limit)
    tell({
      type: "note",
      text:
        `This is expected to take ${formatDuration(plan.seconds)}, more than the ${formatDuration(limit)} asked for: ` +
        "nothing more can be left out. Allow more time, or take fewer examples or a smaller model.",
    });

  const run: RunContext = { store, signal, checkpointSeconds: o.checkpointSeconds, tell, progress };
  const first = await timed("train", () => trainPhase({ phase: "train" }, net, splits, plan.train, run));
  // A supernet goes on from its last state, as the published runs do, unless validation stopped it for getting worse.
  if (first.best && (only || first.stoppedEarly)) net.parameters.set(first.best.parameters);
  const unfinished = { plan, seconds, validation: undefined, test: undefined };
  if (!only && o.stopAfter === "train")
    return { ...unfinished, adapted: net, genome: undefined, parameters: undefined };

  const found = only
    ? undefined
    : await timed("search", () => searchPhase(net, splits, budget, plan.search!, questions, run));
  const finals =
    found && plan.further && o.stopAfter !== "search"
      ? await timed("further", () => {
          const { finalists = 1, fitness = "accuracy" } = plan.search!;
          return finalsPhase(net, finalistsOf(found.history, finalists, fitness), splits, plan.further!, run);
        })
      : undefined;
  const adapted = found
    ? (finals?.adapted ?? inheritedModel(net, found.best.genome, rngStream(seed, "inherited values")))
    : net;
  const genome = adapted.genome!;
  const parameters = count(genome, space.layers, space.a);
  const chosen = {
    adapted: { ...adapted, model: full },
    genome,
    parameters,
    ...(found && { search: summaryOf(found, finals) }),
  };
  if (!only && o.stopAfter === "search") return { ...unfinished, ...chosen };

  if (earlier) {
    tell({ type: "note", text: "This run is finished: its result is the stored one." });
    return { ...chosen, plan, ...earlier, seconds };
  }
  const scores = await timed("scores", () => scoreSplits(adapted, splits, run));
  const result: FitResult = { ...chosen, plan, ...scores, seconds };
  await store.write(RESULT, `${JSON.stringify(resultToJson(result), null, 2)}\n`);
  return result;
}

/** Tokens that a run through the graph takes at best: enough for fast products, few enough for their memory. */
const TOKENS_AT_ONCE = 2048;

/** The settings with a step in as many parts as the lengths of the examples ask for, unless that is said. */
function inParts(o: Omit<TrainOptions, "epochs">, { lengths, size }: Split): Omit<TrainOptions, "epochs"> {
  if (!lengths || o.microBatchSize !== undefined) return o;
  const mean = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, size);
  const most = 2 ** Math.max(0, Math.round(Math.log2(TOKENS_AT_ONCE / Math.max(1, mean))));
  return most < o.batchSize ? { ...o, microBatchSize: most } : o;
}

/**
 * @throws {GloraError} USAGE for what would do nothing: training without anything to train, changes of images to texts, tasks
 *   without candidates
 */
function refuseIdle(model: Model, space: Space, data: Dataset, o: FitOptions, fixed: boolean): void {
  const { preset = "glora", forms } = o;
  const { largest } = feasibility(space, { min: 0, max: Number.MAX_SAFE_INTEGER });
  if (largest === 0 && headTensors(model.head).length === 0)
    throw new GloraError(
      "USAGE",
      `Nothing would be trained: ${preset === "linear" ? "linear trains the head alone" : "the forms leave no adapter parameters"}, ` +
        `and for ${data.name} ${model.name} has no head that is trained. Choose ${preset === "linear" ? "another preset" : "other forms"}.`,
      { preset, forms },
    );
  if (model.input.kind === "text" && o.train?.augment)
    throw new GloraError("USAGE", "augment: texts are neither mirrored nor cropped. Leave the option out.", {
      option: "augment",
    });
  if (o.taskFitness && !model.cache)
    throw new GloraError(
      "USAGE",
      `taskFitness asks for the next token, which ${model.name}, trained on ${data.name}, does not predict. Leave it out.`,
      { model: model.name },
    );
  if (o.taskFitness && fixed)
    throw new GloraError(
      "USAGE",
      `taskFitness ranks candidates, and the preset ${o.preset ?? "glora"} leaves one structure: leave it out, or let glora choose.`,
      { preset: o.preset },
    );
}

const RESULT = "result.json";

/** What a result says of itself, without the trained numbers. */
const resultToJson = ({ genome, parameters, validation, test, search, adapted }: FitResult) => ({
  layers: genomeToJson(genome!),
  a: adapted.space.a,
  parameters,
  headParameters: adapted.parameters.length - adapted.headOffset,
  imageSize: adapted.model.imageSize,
  ...(search && {
    search: {
      candidates: search.evaluated,
      ...(search.note !== undefined && { note: search.note }),
      best: summary(search.best),
      chosen: summary(search.chosen),
      front: search.front.map(summary),
      ...(search.finalists && {
        finalists: search.finalists.map(({ candidate, accuracy, loss }) => ({
          ...summary({ ...candidate, accuracy, loss }),
          origin: candidate.origin,
        })),
      }),
    },
  }),
  validation,
  test,
});

const summary = ({ index, parameters, accuracy, loss }: Candidate<Genome>) => ({
  candidate: index,
  parameters,
  accuracy,
  loss,
});

function summaryOf(
  { best, front, history, note }: EvolutionResult<Genome>,
  { winner: chosen, finalists }: Pick<Finals, "winner" | "finalists"> = { winner: best, finalists: [] },
): SearchSummary {
  return {
    best,
    chosen,
    front,
    evaluated: history.length,
    ...(finalists.length > 0 && { finalists }),
    ...(note !== undefined && { note }),
  };
}

function budgetOf(space: Space, budget: FitOptions["budget"]): Budget {
  const asked =
    typeof budget === "number" ? { min: 0, max: budget } : (budget ?? { min: 0, max: Number.MAX_SAFE_INTEGER });
  return assertFeasible(space, asked);
}

/**
 * What training starts from: no change and the pretrained head, if it is kept; then what an adapter brings.
 *
 * @throws {GloraError} ADAPTER if the adapter fits neither the model nor the space
 */
async function setInitialValues(net: AdaptedModel, model: Model, adapter: AdapterFile | undefined): Promise<void> {
  const own = await headWeights(model);
  if (own) net.parameters.set(own, net.headOffset);
  if (!adapter) return;
  const from = await attachAdapter(model, adapter);
  if (from.replaced?.size)
    throw new GloraError(
      "ADAPTER",
      `The adapter ${adapter.name} replaces weights of the base (${[...from.replaced.keys()].join(", ")}), which training ` +
        "starts from as they are: merge it, and train on the merged model.",
      { adapter: adapter.name, replaced: [...from.replaced.keys()] },
    );
  if (from.space.a !== net.space.a && from.table.size > 0)
    throw new GloraError(
      "ADAPTER",
      `The adapter ${adapter.name} has A in ${from.space.a} form, the space in ${net.space.a} form: choose the same.`,
      { adapter: adapter.name, expected: net.space.a, actual: from.space.a },
    );
  embed(from.parameters, from.table, net.parameters, net.table);
  if (String(from.model.labels) === String(model.labels))
    net.parameters.set(from.parameters.subarray(from.headOffset), net.headOffset);
}

/** The plan with which the run was begun. */
export async function storedPlan(store: RunStore): Promise<Plan | undefined> {
  const text = await readStored(store, "plan.json");
  return text === undefined ? undefined : readPlan(text, fileOf(store, "plan.json"));
}

type Scores = Pick<FitResult, "validation" | "test">;

/** The scores of a finished run: its test split is not used again. */
async function storedScores(store: RunStore): Promise<Scores | undefined> {
  const text = await readStored(store, RESULT);
  if (text === undefined) return undefined;
  const file = fileOf(store, RESULT);
  const json = parseJson(text, file);
  const result = new Fields(json);
  if (!result.has("layers")) result.refuse("layers", "is missing; delete this file to score the run anew");
  result.object("layers");
  for (const split of ["validation", "test"]) {
    if (!result.has(split)) continue;
    const metrics = result.object(split);
    metrics.natural("examples");
    metrics.numbers("accuracy");
    metrics.numbers("loss");
  }
  throwProblems("CONFIG", file, result.problems);
  const { validation, test } = json as Partial<Scores>;
  return { validation, test };
}

/** A new plan: what is given as it is, the rest from measured times. */
async function makePlan(
  net: AdaptedModel,
  splits: Record<SplitName, Split>,
  settings: Omit<TrainOptions, "epochs">,
  { recipe = "default", maxSeconds = 3600, seed = 0, train: given = {}, further, signal, ...o }: FitOptions,
): Promise<Plan> {
  const search = { ...(o.taskFitness && SEARCH_BY_TASKS), ...o.search };
  const asked = further === undefined || further === false ? {} : further;
  const planned = (recipe === "paper" ? planPaper : planDefault)({
    maxSeconds,
    searched: net.genome === undefined,
    // The published runs had none.
    further: recipe === "paper" ? further !== undefined && further !== false : further !== false,
    times: await measureTimes(net, splits, settings, signal),
    stepsPerEpoch: stepsOf(splits.train.size, { ...settings, epochs: 1 }).perEpoch,
    train: settings,
    search,
    given: {
      ...(given.epochs !== undefined && { epochs: given.epochs }),
      ...(asked.epochs !== undefined && { further: asked.epochs }),
      ...(given.warmupEpochs !== undefined && { warmup: given.warmupEpochs }),
    },
    seed,
  });
  return {
    ...planned,
    train: { ...planned.train, ...given, seed },
    ...(planned.further && { further: { ...planned.further, ...asked, seed } }),
  };
}
