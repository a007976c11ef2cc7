import { rm } from "node:fs/promises";
import { count } from "../../adapters/budget.js";
import { mergeModel } from "../../adapters/export.node.js";
import { type PresetName, presetSpace } from "../../adapters/presets.js";
import { onlyGenome } from "../../adapters/space.js";
import { GloraError } from "../../base/errors.js";
import { labelsOf } from "../../data/dataset.js";
import { digits } from "../../data/digits.node.js";
import { readJson } from "../../formats/folder.js";
import { contentOf, openFolder } from "../../formats/folder.node.js";
import { embeddedModel } from "../../models/embedded.node.js";
import { openModel } from "../../models/open.node.js";
import { compareMethods, type Outcome } from "../../search/compare.js";
import type { FitResult } from "../../search/fit.js";
import { formatCount, formatDuration } from "../../training/progress.js";
import { defineCommand } from "../command.js";
import { mergeLines } from "../merge-lines.js";
import { percent } from "../metrics-table.js";
import { flag, optionOr } from "../options.js";
import { drawStructure } from "../structure-drawing.js";
import { table } from "../table.js";
import type { Paint } from "../terminal.js";
import { parseSeed, parseText } from "../values.js";

const METHODS: readonly PresetName[] = ["linear", "bitfit", "ssf", "lora", "glora"];

/** The whole takes minutes on two cores; the short form shows that everything works. */
const FULL = { epochs: 10, furtherEpochs: 7, learningRates: [3e-3, 1e-2], population: 15, generations: 3 };
const SHORT = { epochs: 2, furtherEpochs: 1, learningRates: [1e-2], population: 6, generations: 1 };

export const demo = defineCommand({
  name: "demo",
  summary: "Fine-tune the embedded model on handwritten digits: five methods, a search, a merge.",
  details:
    "Every method has at most as many adapter parameters as SSF, as many steps, and the same learning rates to choose " +
    "from on validation images. Takes a few minutes on two cores; --short less than one.",
  arguments: {},
  options: {
    short: flag("fewer steps, rates and candidates: shows that everything works, not how well"),
    out: optionOr("digits-vit", "folder", "where the merged model is written; replaced if a demo wrote it", parseText),
    seed: optionOr("0", "number", "all chance comes from it", parseSeed),
  },
  examples: [{ command: "glora demo --short", text: "In less than a minute" }],
  async run({ short, out, seed }, context) {
    const started = performance.now();
    const data = digits();
    const isOurs = await isDemoModel(out, labelsOf(data.task));
    const model = await openModel(embeddedModel);
    try {
      const ssf = presetSpace("ssf", model.layers);
      const budget = count(onlyGenome(ssf)!, ssf.layers);
      const { population, generations, ...work } = short ? SHORT : FULL;
      const total = [...model.weights.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      context.print(
        `vit-micro: ${model.layers.length} linear layers, ${formatCount(total)} parameters. Handwritten digits: 1,000 to ` +
          `train on, 400 to choose by, 600 to test on.\nEach method: at most ${formatCount(budget)} adapter parameters ` +
          `(SSF's), ${work.epochs} epochs, learning rates ${work.learningRates.join(" and ")}.\n`,
      );
      let searched: FitResult | undefined;
      const { outcomes } = await compareMethods(model, [data], {
        methods: METHODS,
        budget,
        ...work,
        rank: 4,
        search: searchOf(population, generations),
        seed,
        signal: context.signal,
        onProgress: context.onEvent,
        onResult: ({ method, chosen }, result) => {
          context.note(`${method}: ${percent(chosen!.test!.accuracy)} of the test images`);
          if (method === "glora") searched = result;
        },
      });
      const rows = outcomes.map(rowOf);
      context.print(comparison(rows, context.paint));

      const { adapted, genome } = searched!;
      context.print(
        `\nThe structure that the search chose:\n\n${drawStructure(model.layers, genome!, "elementwise", context.paint)}\n`,
      );

      if (isOurs) await rm(out, { recursive: true });
      const { validation } = await data.prepare(model.input);
      const inputs = await validation.inputs(Array.from({ length: 16 }, (_, i) => i * 25));
      const merge = await mergeModel(adapted, out, { inputs });
      context.print(`${mergeLines(merge, "worst layer")}\n`);
      context.print(
        `The merged model, of the original shape, is in ${out}/. Use it:\n\n` +
          `  npx glora eval --model ${out} --data digits\n  npx glora predict --model ${out} --data FOLDER_OF_IMAGES\n\n` +
          `Took ${formatDuration((performance.now() - started) / 1000)}.`,
      );
      context.emit({
        budget,
        methods: rows,
        merged: out,
        merge: merge.report,
      });
    } finally {
      await model.runtime.dispose();
    }
  },
});

const searchOf = (population: number, generations: number) => ({
  population,
  generations,
  parents: Math.max(2, Math.round(population / 3)),
  mutants: Math.floor(population / 2),
  crossovers: Math.floor(population / 2),
});

/**
 * Whether the folder is what an earlier demo wrote, and may be replaced.
 * @throws {GloraError} FILE if it holds anything else
 */
async function isDemoModel(path: string, labels: readonly string[]): Promise<boolean> {
  const files = await contentOf(path);
  if (files.length === 0) return false;
  const config = files.includes("config.json") ? await readJson(await openFolder(path), "config.json") : undefined;
  const found = (config as { readonly label_names?: unknown } | undefined)?.label_names;
  if (files.includes("model.safetensors") && String(found) === String(labels)) return true;
  throw new GloraError("FILE", `${path}: holds something else than a demo's model. Choose another folder with --out.`, {
    file: path,
  });
}

/** The chosen trial, with the time and the candidates of all. */
function rowOf({ method, trials, chosen }: Outcome) {
  const { rank, parameters, learningRate, validation, test } = chosen!;
  const sum = (key: "seconds" | "searchSeconds" | "candidates") => trials.reduce((all, trial) => all + trial[key], 0);
  return {
    method,
    rank,
    parameters,
    learningRate,
    validation: validation!.accuracy,
    test: test!.accuracy,
    seconds: sum("seconds"),
    searchSeconds: sum("searchSeconds"),
    candidates: sum("candidates"),
  };
}

/** One row a method; the search's cost is a row of its own. */
function comparison(results: readonly ReturnType<typeof rowOf>[], paint: Paint): string {
  const right = (title: string) => ({ title, align: "right" as const });
  const rows = results.flatMap((row) => {
    const { method, rank, parameters, learningRate, validation, test, seconds, searchSeconds, candidates } = row;
    const name = method === "glora" ? "searched GLoRA" : rank === undefined ? method : `${method} r=${rank}`;
    const line = [
      name,
      formatCount(parameters),
      String(learningRate),
      percent(validation),
      percent(test),
      formatDuration(seconds),
    ];
    if (method !== "glora") return [line];
    return [line, [`  its search: ${candidates} candidates`, "", "", "", "", formatDuration(searchSeconds)]];
  });
  return table(["method", ...["parameters", "rate", "validation", "test", "time"].map(right)], rows, paint);
}
