/**
 * Results and records in the layout of lm-evaluation-harness (`results_<time>.json`, `samples_<task>_<time>.jsonl`), so that
 * whatever reads its files reads ours.
 */
import { hashText } from "./hash.js";
import { tasksOf } from "./index.js";
import { type Estimate, estimate, pooled } from "./metrics.js";
import { SHOT_SEED } from "./prompts.js";
import type { ScoredDocument, ScoredTask } from "./run-tasks.js";
import type { BenchmarkTask, TaskGroup } from "./task.js";

/** The release whose prompts and metrics these are. */
const HARNESS_VERSION = "0.4.13";

/** Metrics of a task or a group as the harness names them: "acc,none", "acc_stderr,none". */
export type TaskResult = Readonly<Record<string, unknown>>;

/** What was asked of which model. */
export interface RunFacts {
  readonly modelName: string;
  readonly modelArgs: Readonly<Record<string, unknown>>;
  readonly parameters: number;
  readonly batchSize: number | undefined;
  readonly device: string;
  readonly limit: number | undefined;
  /** Tokens: a name or nothing, and its number. */
  readonly tokenizer: { readonly pad: Token; readonly eos: Token; readonly bos: Token };
  readonly maxLength: number;
  /** Seconds since 1970. */
  readonly date: number;
  readonly seconds: number;
  readonly version: string;
}

type Token = readonly [piece: string | null, id: number | undefined];

/** Results of tasks and their groups, under the keys of the harness that tell of scores. */
export async function taskResults(
  scored: readonly ScoredTask[],
  groups: readonly TaskGroup[],
): Promise<Readonly<Record<string, unknown>>> {
  const estimates = new Map(scored.map((task) => [task.task.name, estimatesOf(task)]));
  const groupResults = Object.fromEntries(groups.map((group) => [group.name, groupResult(group, estimates)]));
  const shots = new Map(scored.map(({ task, shots }) => [task.name, shots]));
  const better = ({ metrics }: BenchmarkTask) => Object.fromEntries(metrics.map((metric) => [metric, true]));
  const byTask = <T>(value: (task: ScoredTask) => T) =>
    Object.fromEntries(scored.map((task) => [task.task.name, value(task)]));
  const byGroup = <T>(value: (group: TaskGroup) => T) =>
    Object.fromEntries(groups.map((group) => [group.name, value(group)]));
  const inner = groups.filter(({ members }) => members.every((name) => shots.has(name)));
  const byInner = <T>(value: (group: TaskGroup) => T) =>
    Object.fromEntries(inner.map((group) => [group.name, value(group)]));
  return {
    results: { ...byTask((task) => taskResult(task, estimates.get(task.task.name)!)), ...groupResults },
    ...(groups.length > 0 && { groups: groupResults }),
    group_subtasks: byGroup(({ members }) => members),
    configs: byTask(configOf),
    versions: { ...byTask(({ task }) => task.version ?? "Yaml"), ...byGroup(({ version }) => version) },
    // The harness fills these in for groups whose members are tasks, not for a group of groups.
    "n-shot": { ...byTask((task) => task.shots), ...byInner(({ members }) => shots.get(members[0]!)) },
    higher_is_better: { ...byTask(({ task }) => better(task)), ...byInner(() => ({ acc: true })) },
    "n-samples": byTask(({ original, documents }) => ({ original, effective: documents.length })),
    task_hashes: Object.fromEntries(
      await Promise.all(scored.map(async (task) => [task.task.name, await hashOfTask(task)] as const)),
    ),
  };
}

/** The keys that tell of the run. */
export function runFacts(facts: RunFacts): Readonly<Record<string, unknown>> {
  const token = ([piece, id]: Token) => [piece, `${id ?? "None"}`];
  return {
    config: {
      model: "glora",
      model_args: facts.modelArgs,
      model_num_parameters: facts.parameters,
      batch_size: facts.batchSize ?? "auto",
      batch_sizes: [],
      device: facts.device,
      use_cache: null,
      limit: facts.limit ?? null,
      // Standard errors of means need no bootstrap; the number is the harness's default.
      bootstrap_iters: 100_000,
      gen_kwargs: null,
      random_seed: 0,
      numpy_seed: 1234,
      torch_seed: 1234,
      fewshot_seed: SHOT_SEED,
    },
    date: facts.date,
    glora_version: facts.version,
    lm_eval_version: HARNESS_VERSION,
    tokenizer_pad_token: token(facts.tokenizer.pad),
    tokenizer_eos_token: token(facts.tokenizer.eos),
    tokenizer_bos_token: token(facts.tokenizer.bos),
    eot_token_id: facts.tokenizer.eos[1] ?? null,
    max_length: facts.maxLength,
    model_source: "glora",
    model_name: facts.modelName,
    model_name_sanitized: facts.modelName.replaceAll(/["<>:/|\\?*[\]]+/g, "__"),
    system_instruction: null,
    system_instruction_sha: null,
    fewshot_as_multiturn: false,
    chat_template: null,
    chat_template_sha: null,
    total_evaluation_time_seconds: `${facts.seconds}`,
  };
}

/** A line of a task's samples file: the document, what was asked, what came back and how it was judged. */
export async function sampleRecord(document: ScoredDocument): Promise<Readonly<Record<string, unknown>>> {
  const { id, doc, question, requests, likelihoods, metrics } = document;
  const pairs = requests.flatMap(({ context, continuations }) => continuations.map((text) => [context, text] as const));
  const answers = likelihoods.map(({ logLikelihood, greedy }) => [
    pythonNumber(logLikelihood),
    greedy ? "True" : "False",
  ]);
  return {
    doc_id: id,
    doc,
    target: question.target,
    arguments: Object.fromEntries(
      pairs.map(([context, continuation], i) => [`gen_args_${i}`, { arg_0: context, arg_1: continuation }]),
    ),
    resps: answers.map((answer) => [answer]),
    filtered_resps: answers,
    filter: "none",
    metrics: Object.keys(metrics),
    ...(await hashesOf(document)),
    ...metrics,
  };
}

/** A number as `str` writes it. */
const pythonNumber = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : `${value}`);

async function hashesOf({ doc, question, requests }: ScoredDocument) {
  const [doc_hash, prompt_hash, target_hash] = await Promise.all([
    hashText(JSON.stringify(doc, null, 2)),
    hashText(requests[0]!.context),
    hashText(question.target),
  ]);
  return { doc_hash, prompt_hash, target_hash };
}

async function hashOfTask({ documents }: ScoredTask): Promise<string> {
  const hashes = await Promise.all(documents.map(hashesOf));
  return hashText(hashes.map((hash) => hash.doc_hash + hash.prompt_hash + hash.target_hash).join(""));
}

type Estimates = ReadonlyMap<string, Estimate>;

const estimatesOf = ({ task, documents }: ScoredTask): Estimates =>
  new Map(task.metrics.map((metric) => [metric, estimate(documents.map(({ metrics }) => metrics[metric]!))]));

const metricFields = (metric: string, { mean, error }: Estimate) => ({
  [`${metric},none`]: mean,
  [`${metric}_stderr,none`]: error ?? "N/A",
});

const taskResult = ({ task, documents }: ScoredTask, estimates: Estimates): TaskResult => ({
  name: task.name,
  alias: task.alias ?? task.name,
  sample_len: documents.length,
  ...Object.assign({}, ...[...estimates].map(([metric, value]) => metricFields(metric, value))),
});

function groupResult(group: TaskGroup, estimates: ReadonlyMap<string, Estimates>): TaskResult {
  const whole = pooled(tasksOf(group).map((name) => estimates.get(name)!.get("acc")!));
  return {
    alias: group.alias,
    name: group.name,
    sample_len: whole.size,
    ...metricFields("acc", whole),
    sample_count: { "acc,none": whole.size },
  };
}

function configOf({ task, shots }: ScoredTask): Readonly<Record<string, unknown>> {
  const { name, alias, dataset, splits, description, version, metrics } = task;
  return {
    task: name,
    ...(alias !== undefined && { task_alias: alias }),
    dataset_path: dataset.path,
    ...(dataset.name !== undefined && { dataset_name: dataset.name }),
    ...(splits.train !== undefined && { training_split: splits.train }),
    ...(splits.validation !== undefined && { validation_split: splits.validation }),
    ...(splits.test !== undefined && { test_split: splits.test }),
    ...(splits.shots !== undefined && { fewshot_split: splits.shots }),
    description: description ?? "",
    target_delimiter: " ",
    fewshot_delimiter: "\n\n",
    num_fewshot: shots,
    metric_list: metrics.map((metric) => ({ metric, aggregation: "mean", higher_is_better: true })),
    output_type: "multiple_choice",
    repeats: 1,
    metadata: version === undefined ? {} : { version },
  };
}
