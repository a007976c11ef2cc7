import { join } from "node:path";
import { openAdapterPath } from "../../adapters/adapter-file.node.js";
import { GloraError } from "../../base/errors.js";
import { openData } from "../../data/open.node.js";
import { contentOf, removePartial } from "../../formats/folder.node.js";
import type { Model } from "../../models/model.js";
import type { FitOptions } from "../../search/fit.js";
import { type FitToFolderOptions, fit as fitRun, type Run, taskFitnessIn } from "../../search/run.node.js";
import type { TaskFitnessSettings } from "../../search/task-fitness.js";
import { type Context, defineCommand } from "../command.js";
import { dataSourceOf } from "../data-sources.js";
import { mergeLines } from "../merge-lines.js";
import { openModelFor } from "../open-model.js";
import { given, option, required, unless, type ValuesOf } from "../options.js";
import { writePictures } from "../run-pictures.js";
import { reportRun, savingTo } from "../run-report.js";
import {
  augmentationOf,
  augmentOptions,
  dataOptions,
  modelOptions,
  planOptions,
  searchOptions,
  structureOptions,
  taskFitnessOptions,
  trainOptions,
} from "../shared-options.js";
import { parseText } from "../values.js";

const runOptions = {
  model: required("folder", "the pretrained model", parseText),
  ...dataOptions,
  out: required(
    "folder",
    "the run: config, log, checkpoints, results; an interrupted one with the same settings goes on",
    parseText,
  ),
  adapter: option("folder", "start from this adapter", parseText),
  ...structureOptions,
};

export const fit = defineCommand({
  name: "fit",
  summary: "Train, search, merge and test in one: from a pretrained model and your data to a merged model.",
  details:
    "Trains a supernet of GLoRA adapters, searches a structure within --budget, trains the winner further, tests it once, " +
    "and writes the merged model to RUN/merged. Epochs and candidates are planned from measured times to end within " +
    "--max-time; options replace single settings. Ctrl-C saves; the same command, or glora resume RUN, goes on.",
  arguments: {},
  options: {
    ...runOptions,
    ...planOptions,
    ...trainOptions,
    ...augmentOptions,
    ...searchOptions,
    ...taskFitnessOptions,
    merge: unless("do not merge"),
    ...modelOptions,
  },
  examples: [
    {
      command: "glora fit --model models/vit-micro --data flowers --out runs/flowers --budget 50k --max-time 20m",
      text: "A folder of images, at most 50,000 adapter parameters, in about twenty minutes",
    },
    {
      command: "glora fit --model models/vit-micro --data digits --out runs/lora --preset lora --rank 4",
      text: "LoRA instead",
    },
  ],
  async run(values, context) {
    const tasks = taskFitnessOf(values);
    await startRun(
      values,
      context,
      {
        ...planningOf(values),
        ...searchOf(values),
        ...(tasks && { taskFitness: await taskFitnessIn(tasks) }),
        merge: values.merge,
      },
      values.merge,
    );
  },
});

export const train = defineCommand({
  name: "train",
  summary: "Train a supernet, or the one structure of a preset, without searching.",
  details:
    "The run goes on with glora search RUN; a preset that leaves no choice is finished: glora merge --adapter RUN/adapter merges it.",
  arguments: {},
  options: { ...runOptions, ...planOptions, ...trainOptions, ...augmentOptions, ...modelOptions },
  examples: [
    { command: "glora train --model models/vit-micro --data digits --out runs/net --max-time 10m", text: "A supernet" },
    {
      command:
        "glora train --model models/vit-micro --data digits --out runs/ssf --preset ssf --epochs 20 --learning-rate 0.005",
      text: "SSF with given settings",
    },
  ],
  async run(values, context) {
    await startRun(
      values,
      context,
      {
        ...planningOf(values),
        stopAfter: "train",
      },
      false,
    );
  },
});

type RunValues = ValuesOf<typeof runOptions & typeof trainOptions & typeof augmentOptions & typeof modelOptions>;

async function startRun(
  values: RunValues,
  context: Context,
  options: FitToFolderOptions,
  merge: boolean,
): Promise<void> {
  const data = await openData(dataSourceOf(values.data, values));
  const model = await openModelFor(
    context,
    values.model,
    given({ config: values.config, device: values.device, imageSize: values.imageSize }),
  );
  try {
    const { budget, preset, rank, ranks, forms, layers, a, addBiases, seed, config, out } = values;
    const adapter = values.adapter === undefined ? undefined : await openAdapterPath(values.adapter);
    const run = await savingTo(out, () =>
      fitRun(model, data, {
        ...given({ budget, rank, ranks, forms, layers, adapter, modelConfig: config }),
        preset,
        a,
        addBiases,
        seed,
        train: trainingOf(values),
        ...options,
        out,
        signal: context.signal,
        onProgress: context.onEvent,
      }),
    );
    await finishRun(run, context, merge);
  } finally {
    await model.runtime.dispose();
  }
}

/** Finishes a run that was gone on with: it is merged unless that is refused now, or was when it was begun. */
export async function finishBegunRun(run: Run, context: Context, merge: boolean): Promise<void> {
  await finishRun(run, context, merge && run.toMerge);
  if (!merge || run.toMerge || !run.genome) return;
  const { name } = run.adapted.model;
  context.note(
    `Not merged: the run was begun with --no-merge. Merge it with: glora merge --model ${name} --adapter ` +
      `${run.folder}/adapter --out FOLDER`,
  );
}

/** Draws a run, merges it where it is to be merged and was not merged before, and reports it. */
export async function finishRun(run: Run, context: Context, merge: boolean): Promise<void> {
  const pictures = await writePictures(run);
  if (!merge || !run.genome || !run.folder) return reportRun(run, pictures, context);
  const merged = join(run.folder, "merged");
  const use = `Use it:\n  ${useOf(run.adapted.model, merged)}`;
  if ((await contentOf(merged)).length > 0) {
    reportRun(run, pictures, context, { merged });
    context.print(`\nMerged before, and checked then: ${merged}. ${use}`);
    return;
  }
  await removePartial(merged);
  const result = await run.merge(merged);
  reportRun(run, pictures, context, { merged, merge: { ...result.report, storage: result.storage } });
  context.print(`\n${mergeLines(result, "every layer")}\n\nMerged: ${merged}. ${use}`);
}

function useOf({ input, rows, head }: Model, merged: string): string {
  if (!head) return `await pipeline("feature-extraction", "${merged}")   // transformers.js`;
  if (rows === "tokens") return `glora generate ${merged} "…"`;
  return `glora predict --model ${merged} --data ${input.kind === "image" ? "FOLDER_OF_IMAGES" : "FILE_OF_TEXTS"}`;
}

const planningOf = ({ recipe, maxTime, further }: ValuesOf<typeof planOptions>): FitOptions => ({
  recipe,
  maxSeconds: maxTime,
  ...(!further && { further: false }),
});

function trainingOf(values: ValuesOf<typeof trainOptions & typeof augmentOptions>): NonNullable<FitOptions["train"]> {
  const settings = Object.keys(trainOptions).map((key) => [key, values[key as keyof typeof trainOptions]]);
  return given({ ...Object.fromEntries(settings), augment: augmentationOf(values) });
}

function searchOf(values: ValuesOf<typeof searchOptions>): Pick<FitOptions, "search"> {
  const settings = given(
    Object.fromEntries(Object.keys(searchOptions).map((key) => [key, values[key as keyof typeof searchOptions]])),
  );
  return Object.keys(settings).length > 0 ? { search: settings } : {};
}

/** @throws {GloraError} USAGE for tasks without their data, and the other way round */
export function taskFitnessOf({
  fitnessTasks: tasks,
  taskData: data,
  fitnessLimit: limit,
}: ValuesOf<typeof taskFitnessOptions>): TaskFitnessSettings | undefined {
  if (tasks === undefined && (data !== undefined || limit !== undefined))
    throw new GloraError("USAGE", "--task-data and --fitness-limit are for --fitness-tasks, which is missing.");
  if (tasks === undefined) return undefined;
  if (data === undefined)
    throw new GloraError("USAGE", "--fitness-tasks needs --task-data, the folder of the tasks' data.", { tasks });
  return { tasks, data, ...(limit !== undefined && { limit }) };
}
