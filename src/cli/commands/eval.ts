import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { openAdapterPath } from "../../adapters/adapter-file.node.js";
import { GloraError, messageOf } from "../../base/errors.js";
import { openData } from "../../data/open.node.js";
import { evaluateTasks } from "../../evaluation/tasks/evaluate-tasks.node.js";
import { hubTasks } from "../../evaluation/tasks/hub-data.node.js";
import { selectTasks, taskNames } from "../../evaluation/tasks/index.js";
import { localTasks, type TaskSource } from "../../evaluation/tasks/local-data.node.js";
import { testModel } from "../../evaluation/test-model.js";
import { type ProgressTracker, trackProgress } from "../../training/progress.js";
import { type Context, defineCommand } from "../command.js";
import { dataSourceOf } from "../data-sources.js";
import { metricsTable } from "../metrics-table.js";
import { attachFor, openModelFor } from "../open-model.js";
import { given, option, optionOr, required, type ValuesOf } from "../options.js";
import { dataOptions, modelOptions } from "../shared-options.js";
import { tasksTable } from "../tasks-table.js";
import { listOf, oneOf, pairsOf, parseCount, parseNumber, parsePositive, parseText } from "../values.js";

const options = {
  model: required("folder", "the model: pretrained, or merged by glora", parseText),
  adapter: option("folder", "score this adapter on the model, unmerged", parseText),
  ...dataOptions,
  data: option("path", dataOptions.data.text, parseText),
  split: optionOr(
    "test",
    "name",
    "which examples of --data: train, validation or test",
    oneOf(["train", "validation", "test"]),
  ),
  tasks: option("names", `benchmark tasks of a language model: ${taskNames.join(", ")}`, listOf(parseText)),
  shots: option(
    "count",
    "solved examples in front of each question, for all tasks or by task: 5, or arc_challenge=25,mmlu=5; default: 0",
    parseShots,
  ),
  limit: option("count", "the first so many documents of each task, or a share of them (0.1)", parseLimit),
  taskData: option(
    "folder",
    "data of the tasks, laid out as on the Hugging Face hub; default: fetched from the hub",
    parseText,
  ),
  perplexity: option("file", "a text whose perplexity is measured", parseText),
  out: option(
    "folder",
    "keep results and a record of each document, in the layout of lm-evaluation-harness; an interrupted run goes on",
    parseText,
  ),
  batchSize: option(
    "count",
    "examples that run through the graph at once; default: 32 images, or as many questions as are fast",
    parsePositive,
  ),
  ...modelOptions,
};

type Values = ValuesOf<typeof options>;

export const evalCommand = defineCommand({
  name: "eval",
  summary: "Score a model, merged or with an adapter, on labelled examples, benchmark tasks or a text.",
  details:
    "Tasks have the prompts, shots and metrics of lm-evaluation-harness 0.4.13. HF_ENDPOINT names a mirror of the hub, " +
    "HF_TOKEN a key; what is fetched is kept in ~/.cache/glora (or XDG_CACHE_HOME).",
  arguments: {},
  options,
  examples: [
    { command: "glora eval --model flowers-vit --data flowers", text: "A merged model on the test split" },
    {
      command: "glora eval --model models/vit-micro --adapter run/adapter --data digits --split validation",
      text: "An adapter that is not merged",
    },
    {
      command: "glora eval --model SmolLM2-135M --tasks arc_easy,piqa --shots 5 --limit 100 --out scores",
      text: "A language model on benchmark tasks",
    },
  ],
  async run(values, context) {
    const { model: path, adapter, config, device, imageSize, data, tasks, perplexity } = values;
    const languages = tasks !== undefined || perplexity !== undefined;
    if ((data === undefined) === !languages)
      throw new GloraError("USAGE", "Either --data or --tasks and --perplexity say what the model is scored on.");
    selectTasks(tasks ?? []); // a name that is not known is told before anything is opened
    const model = await openModelFor(context, path, given({ config, device, imageSize }));
    try {
      const subject = adapter === undefined ? model : await attachFor(context, model, await openAdapterPath(adapter));
      if (languages) await scoreLanguage(subject, values, context);
      else await scoreExamples(subject, data!, values, context);
    } finally {
      await model.runtime.dispose();
    }
  },
});

type Subject = Parameters<typeof testModel>[0];

async function scoreExamples(subject: Subject, path: string, values: Values, context: Context): Promise<void> {
  const { split, batchSize } = values;
  const data = await openData(dataSourceOf(path, values));
  const report = reporter(context);
  const metrics = await testModel(subject, data, {
    split,
    ...given({ batchSize }),
    signal: context.signal,
    onProgress: (done, total) => report("example", done, total, ""),
  });
  context.emit({ split, ...metrics });
  context.print(metricsTable({ [split]: metrics }, context.paint));
}

async function scoreLanguage(subject: Subject, values: Values, context: Context): Promise<void> {
  const { model, adapter, tasks, taskData, perplexity, shots, limit, out, batchSize } = values;
  const data = tasks && (taskData === undefined ? fromHub(context.signal) : await localTasks(taskData));
  const text =
    perplexity === undefined ? undefined : { name: basename(perplexity), content: await readText(perplexity) };
  const report = reporter(context);
  const results = await evaluateTasks(subject, {
    ...given({ tasks, data, text, shots, limit, out, batchSize }),
    modelArgs: { pretrained: model, ...(adapter !== undefined && { adapter }) },
    signal: context.signal,
    onProgress: ({ unit, done, total, task }) => report(unit, done, total, task),
  });
  context.emit(results);
  context.print(tasksTable(results, context.paint));
}

const fromHub = (signal: AbortSignal): TaskSource =>
  hubTasks({
    cache: join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "glora", "datasets"),
    ...given({ endpoint: process.env["HF_ENDPOINT"], token: process.env["HF_TOKEN"] }),
    signal,
  });

/** Shows how far a job is; it begins anew where the unit changes. */
function reporter({ onEvent }: Context) {
  let job: { unit: string; seen: number; tracker: ProgressTracker } | undefined;
  return (unit: string, done: number, total: number, detail: string): void => {
    if (job?.unit !== unit) job = { unit, seen: 0, tracker: trackProgress(total, () => performance.now() / 1000) };
    onEvent({ type: "progress", phase: "scores", unit, progress: job.tracker.advance(done - job.seen), detail });
    job.seen = done;
  };
}

const readText = (file: string): Promise<string> =>
  readFile(file, "utf8").catch((thrown) => {
    throw new GloraError("FILE", `${file}: cannot be read: ${messageOf(thrown)}`, { file }, thrown);
  });

function parseShots(text: string): number | Readonly<Record<string, number>> {
  return text.includes("=") ? (pairsOf(parseCount)(text) as Record<string, number>) : parseCount(text);
}

function parseLimit(text: string): number {
  const limit = parseNumber(text);
  if (limit > 0 && (limit < 1 || Number.isSafeInteger(limit))) return limit;
  throw new GloraError("USAGE", `a count of documents, or a share below 1, is expected; got "${text}".`, {
    found: text,
  });
}
