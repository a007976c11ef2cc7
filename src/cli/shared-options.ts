/** Options that several commands take, under the names that the calls behind them use. */

import { PRESETS } from "../adapters/presets.js";
import { SUPPORTS } from "../adapters/structure.js";
import type { Augmentation } from "../data/augment.js";
import { textFormats } from "../data/text/text-options.js";
import { flag, option, optionOr, required, unless, type ValuesOf } from "./options.js";
import {
  listOf,
  oneOf,
  pairsOf,
  parseBudget,
  parseDuration,
  parseNumber,
  parsePositive,
  parseSeed,
  parseShare,
  parseText,
  parseYesNo,
} from "./values.js";

/** Every command has them. */
export const globalOptions = {
  json: flag("print JSON for programs on stdout; progress and notes stay silent"),
  quiet: flag("no progress and no notes"),
  progress: flag("show progress and notes on stderr also with --json"),
};

/** OpenModelPathOptions. */
export const modelOptions = {
  config: option("file", "a JSON file in place of the model's config.json, for a folder that has none", parseText),
  device: optionOr(
    "cpu",
    "name",
    "where graphs run: cpu, webgpu, cuda, wasm or auto",
    oneOf(["cpu", "webgpu", "cuda", "wasm", "auto"]),
  ),
  imageSize: option(
    "pixels",
    "edge of the images that a ViT takes; default: its own (positions are resampled)",
    parsePositive,
  ),
};

const parseColumn = (text: string): string | number => (/^[1-9]\d*$/.test(text) ? Number(text) : parseText(text));

/** TextOptions. */
const textOptions = {
  format: option(
    "name",
    `what text records are: ${textFormats.join(", ")}; default: told by their fields`,
    oneOf(textFormats),
  ),
  task: option(
    "name",
    "what is learned from the label column: classes (default), multi-label, regression or similarity",
    oneOf(["classes", "multi-label", "regression", "similarity"]),
  ),
  textColumn: option("column", "name, or number from 1, of the column of texts", parseColumn),
  secondColumn: option("column", "the column of second texts, where texts come in pairs", parseColumn),
  labelColumn: option("column", "the column of labels", parseColumn),
  labelSeparator: option("text", "what parts the labels in a multi-label cell", parseText),
  labels: option(
    "list",
    "the classes in the order of their numbers; default: those of the training data",
    listOf(parseText),
  ),
  header: option("yes or no", "whether the first row of a table names its columns; default: found out", parseYesNo),
  lossOn: option("part", "score the answers alone (default), or all tokens", oneOf(["answers", "all"])),
  pack: option("yes or no", "put several examples in one row of --max-tokens, out of each other's sight", parseYesNo),
  maxTokens: option("count", "longest example; default: what the model can take, at most 512", parsePositive),
};

/** DataSource. */
export const dataOptions = {
  data: required(
    "path",
    "class/image folders, or train/, val/, test/ of them; a text file (json, jsonl, csv, tsv, parquet, txt) or a folder " +
      "with train, validation and test files; digits: those of the package",
    parseText,
  ),
  splitShares: option(
    "pairs",
    "share of each class for splits that have no folder: validation=0.2,test=0.1; default: 0.15 each",
    pairsOf(parseShare, ["validation", "test"]),
  ),
  dataSeed: option("number", "seed of the split; default: 0", parseSeed),
  ...textOptions,
};

/** PresetOptions, the budget and the seed. */
export const structureOptions = {
  preset: optionOr("glora", "name", `method: ${PRESETS.join(", ")} (linear: the head alone)`, oneOf(PRESETS)),
  budget: option(
    "count",
    "most adapter parameters, the head not counted (100k), or an interval (100k..200k); default: what the method needs",
    parseBudget,
  ),
  rank: option("rank", "largest rank of the low-rank forms; default: 8, or what the layers can have", parsePositive),
  ranks: option("list", "ranks that glora offers; default: the powers of two up to the rank", listOf(parsePositive)),
  forms: option(
    "pairs",
    "kinds of form that glora offers, those of a support parted by |: A=vector,B=lora|none; default: all of them",
    pairsOf((kinds) => kinds.split("|").map(oneOf(["lora", "vector", "scalar", "none"])), SUPPORTS),
  ),
  layers: option(
    "globs",
    "layers to adapt, by name, parted by commas (*.attn.*,*.fc1); default: every linear layer but the head, of a decoder those of attention",
    listOf(parseText),
  ),
  a: optionOr(
    "elementwise",
    "form",
    "how A acts: elementwise (W * A) or product (W A)",
    oneOf(["elementwise", "product"]),
  ),
  addBiases: unless("do not offer C and E on layers that have no bias"),
  seed: optionOr("0", "number", "all chance comes from it", parseSeed),
};

const FORMS = ["lora", "vector", "scalar", "none", "head"] as const;

/** TrainOptions: each replaces the recipe's setting. */
export const trainOptions = {
  epochs: option("count", "passes over the training examples", parsePositive),
  batchSize: option("count", "examples per optimizer step", parsePositive),
  microBatchSize: option(
    "count",
    "examples that run through the graph at once; default: the whole step",
    parsePositive,
  ),
  learningRate: option("rate", "highest learning rate", parseNumber),
  rateFactors: option(
    "pairs",
    "factors of the learning rate by form: lora=1,vector=3,head=1; default: 1 each",
    pairsOf(parseNumber, FORMS),
  ),
  balanceRates: option(
    "yes or no",
    "divide the rate of C, and of B as a vector or scalar, by the root of a layer's inputs; default: yes for glora, no for other presets and in the paper's recipe",
    parseYesNo,
  ),
  weightDecay: option("rate", "decoupled weight decay, multiplied by the learning rate", parseNumber),
  clipNorm: option("norm", "largest norm of a step's gradient", parseNumber),
  schedule: option(
    "name",
    "how the rate falls after the warm-up: cosine, linear, constant or paper",
    oneOf(["cosine", "linear", "constant", "paper"]),
  ),
  warmupEpochs: option("count", "epochs over which the learning rate rises from 0", parseNumber),
  dropPath: option("share", "probability of dropping the last block's residual branches", parseShare),
  labelSmoothing: option("share", "share of the target that is spread over all classes", parseShare),
  loss: option("name", "cross-entropy, or mse against one-hot targets", oneOf(["cross-entropy", "mse"])),
  classWeights: option(
    "list",
    "weight of each class in the loss (1,2,0.5), or balanced: by inverse frequency",
    (text: string) => (text === "balanced" ? text : listOf(parseNumber)(text)),
  ),
  recompute: option(
    "yes or no",
    "compute activations again in the backward pass, a block at a time; default: where a step would exceed the memory limit",
    parseYesNo,
  ),
  memoryLimit: option(
    "size",
    "bytes that a step may take (4G, 800M): above it activations are computed again; default: three quarters of the machine's",
    parsePositive,
  ),
  validateEvery: option("count", "epochs between validations", parsePositive),
  patience: option("count", "validations without a better score after which training stops", parsePositive),
};

/** Augmentation; none unless asked for. */
export const augmentOptions = {
  flip: option("share", "probability of mirroring a training image left to right; default: 0", parseShare),
  randomCrop: option(
    "share",
    "random-resized crops of at least this share of a training image's area; default: none",
    parseShare,
  ),
};

/** What those options ask for. */
export function augmentationOf({ flip, randomCrop }: ValuesOf<typeof augmentOptions>): Augmentation | undefined {
  if (flip === undefined && randomCrop === undefined) return undefined;
  return {
    ...(flip !== undefined && { flip }),
    ...(randomCrop !== undefined && { crop: { scale: [randomCrop, 1], ratio: [3 / 4, 4 / 3] } }),
  };
}

/** SearchPlan: each replaces the recipe's setting. */
export const searchOptions = {
  population: option("count", "candidates of the random start and of each generation", parsePositive),
  generations: option("count", "generations after the random start", parsePositive),
  parents: option("count", "candidates that have children, the best so far", parsePositive),
  mutants: option("count", "children of one parent in each generation", parsePositive),
  crossovers: option("count", "children of two parents in each generation", parsePositive),
  mutationRate: option("share", "probability that a mutant redraws the form of a tensor", parseShare),
  fitness: option("name", "what candidates are ranked by on the validation split", oneOf(["accuracy", "loss"])),
  finalists: option("count", "structures that are trained further before one of them is chosen", parsePositive),
};

/** TaskFitnessSettings. */
export const taskFitnessOptions = {
  fitnessTasks: option(
    "names",
    "rank a language model's candidates by the accuracy of these tasks (arc_easy,piqa), on a split that eval does not score",
    listOf(parseText),
  ),
  taskData: option("folder", "where the data of --fitness-tasks is, in the official schemas", parseText),
  fitnessLimit: option("count", "the first so many questions of each task; default: 100", parsePositive),
};

/** FitOptions: how much work the whole does. */
export const planOptions = {
  recipe: optionOr(
    "default",
    "name",
    "default: planned from measured times to end within --max-time; paper: the published settings",
    oneOf(["default", "paper"]),
  ),
  maxTime: optionOr("1h", "duration", "time in which a planned run is to end: 1h, 30m, 90s, 1h30m", parseDuration),
  further: unless("do not train the winner of the search any further"),
};
