import { join } from "node:path";
import { PRESETS } from "../../adapters/presets.js";
import { GloraError } from "../../base/errors.js";
import { openData } from "../../data/open.node.js";
import { writeFileAtomic } from "../../formats/folder.node.js";
import type { Comparison, Outcome } from "../../search/compare.js";
import { compareInFolder } from "../../search/compare.node.js";
import { type ComparisonSummary, summarize } from "../../search/compare-summary.js";
import { defineCommand } from "../command.js";
import { drawComparison } from "../compare-drawing.js";
import {
  comparisonCsv,
  comparisonJson,
  comparisonMarkdown,
  comparisonText,
  headline,
  scaled,
} from "../compare-report.js";
import { readSource } from "../data-sources.js";
import { openModelFor } from "../open-model.js";
import { flag, given, option, optionOr, repeated, required } from "../options.js";
import { dataOptions, modelOptions, searchOptions, structureOptions, trainOptions } from "../shared-options.js";
import { listOf, oneOf, parseCount, parseNumber, parsePositive, parseText } from "../values.js";

const { data: where, ...moreData } = dataOptions;
const { layers, a, addBiases, seed } = structureOptions;
/** Without those that the comparison sets, or that would give one method fewer steps than another. */
const { epochs, learningRate: _, patience: __, validateEvery: ___, ...moreTraining } = trainOptions;

const options = {
  model: required("folder", "the pretrained model", parseText),
  data: repeated(
    required(
      "path",
      `${where.text}; given once for each data set, with options of its own: "sms.csv?name=sms&option=value"`,
      parseText,
    ),
  ),
  ...moreData,
  methods: optionOr("linear,bitfit,ssf,lora,glora", "names", `of ${PRESETS.join(", ")}`, listOf(oneOf(PRESETS))),
  budget: option(
    "count",
    "most adapter parameters, the head not counted (100k); default: what the hungriest method needs at rank 1",
    parseCount,
  ),
  out: required("folder", "results and trials; an interrupted comparison with the same settings goes on", parseText),
  seeds: optionOr("3", "count", "seeds, from --seed upwards", parsePositive),
  seed,
  learningRates: optionOr("0.001,0.003,0.01", "list", "each method takes the best on validation", listOf(parseNumber)),
  selectSeed: flag("choose the learning rates on the first seed alone: each other seed costs one trial"),
  epochs: optionOr("10", "count", epochs.text, parsePositive),
  furtherEpochs: option(
    "count",
    "of these, glora's for the winner of its search; default: seven tenths",
    parsePositive,
  ),
  trainExamples: option("count", "training examples, drawn by each seed in equal shares; default: all", parsePositive),
  ...moreTraining,
  rank: option("rank", "largest rank that glora offers; default: 8, or lora's where that is more", parsePositive),
  layers,
  a,
  addBiases,
  candidates: optionOr("200", "count", "candidates of a search", parsePositive),
  ...searchOptions,
  reference: option("name", "method that others are compared with; default: lora, or the first", oneOf(PRESETS)),
  ...modelOptions,
};

export const compare = defineCommand({
  name: "compare",
  summary: "Compare methods at equal cost on several data sets with several seeds.",
  details:
    "Every method has at most the same budget (lora and hira at the largest rank within it), as many optimizer steps, and the " +
    "same learning rates to choose from on validation; the test split is scored once for each method, data set and seed. " +
    "Writes table.md, table.csv, results.json and plot.svg to --out while it goes, and every trial, with its adapter, to " +
    "OUT/trials. Ctrl-C saves; the same command goes on. Methods, data sets and seeds can be added later.",
  arguments: {},
  options,
  examples: [
    {
      command:
        "glora compare --model models/vit-micro --data digits --data flowers --methods linear,lora,glora --out runs/methods",
      text: "Three methods on two data sets, three seeds each",
    },
    {
      command:
        'glora compare --model minilm --data "sst2?name=SST-2" --data "sms.csv?name=SMS" --train-examples 1000 --select-seed --out runs/text',
      text: "A thousand training examples each; learning rates chosen on the first seed",
    },
  ],
  async run(values, context) {
    const { out, reference, seeds, selectSeed, methods } = values;
    if (reference !== undefined && !methods.includes(reference))
      throw new GloraError("USAGE", `--reference: ${reference} is none of --methods: ${methods.join(", ")}.`);
    const data = await Promise.all(
      values.data.map(async (text) => {
        const { name, source } = readSource(text, values);
        const opened = await openData(source);
        return name === undefined ? opened : { ...opened, name };
      }),
    );
    const pick = (from: object) =>
      given(Object.fromEntries(Object.keys(from).map((key) => [key, values[key as keyof typeof values]])));
    const model = await openModelFor(
      context,
      values.model,
      given({ config: values.config, device: values.device, imageSize: values.imageSize }),
    );
    try {
      const { budget, furtherEpochs, trainExamples, rank } = values;
      const comparison = await compareInFolder(model, data, {
        ...given({ budget, furtherEpochs, trainExamples, rank, layers: values.layers }),
        methods,
        epochs: values.epochs,
        learningRates: values.learningRates,
        seeds,
        seed: values.seed,
        selectOnFirstSeed: selectSeed,
        a: values.a,
        addBiases: values.addBiases,
        candidates: values.candidates,
        search: pick(searchOptions),
        train: pick(moreTraining),
        out,
        signal: context.signal,
        onProgress: context.onEvent,
        onResult: async (outcome, result, sofar) => {
          if (!result) return; // known from an earlier call, or told as it diverged
          context.note(told(outcome, sofar));
          await write(out, sofar, summarize(sofar, reference));
        },
      });
      const summary = summarize(comparison, reference);
      await write(out, comparison, summary);
      context.print(`${headline(comparison)}\n\n${comparisonText(comparison, summary, context.paint)}\n`);
      context.print(
        `Written: ${["table.md", "table.csv", "results.json", "plot.svg"].map((f) => join(out, f)).join(", ")}`,
      );
      context.emit(comparisonJson(comparison, summary));
    } catch (thrown) {
      if (!(thrown instanceof GloraError) || thrown.code !== "ABORTED") throw thrown;
      throw new GloraError("ABORTED", `Interrupted. Saved in ${out}: the same command goes on.`, { out }, thrown);
    } finally {
      await model.runtime.dispose();
    }
  },
});

/** One line of what a method has come to. */
function told({ data, method, seed, chosen }: Outcome, comparison: Comparison): string {
  const { measure } = comparison.data.find(({ name }) => name === data)!;
  const score = chosen ? `${measure.title} ${scaled(chosen.test![measure.key], measure)} on test` : "diverged";
  return `${data}, ${method}, seed ${seed}: ${score}`;
}

async function write(out: string, comparison: Comparison, summary: ComparisonSummary): Promise<void> {
  await writeFileAtomic(join(out, "table.md"), comparisonMarkdown(comparison, summary));
  await writeFileAtomic(join(out, "table.csv"), comparisonCsv(comparison));
  await writeFileAtomic(join(out, "results.json"), `${JSON.stringify(comparisonJson(comparison, summary), null, 1)}\n`);
  await writeFileAtomic(join(out, "plot.svg"), drawComparison(comparison, summary));
}
