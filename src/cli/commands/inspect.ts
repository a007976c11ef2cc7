import { inspectModel, type ModelFacts } from "../../adapters/inspect-model.js";
import { GloraError } from "../../base/errors.js";
import type { ImagePreprocessing } from "../../data/image-spec.js";
import { openData } from "../../data/open.node.js";
import { previewExamples } from "../../data/text/preview.js";
import { isTextDataset } from "../../data/text/text-dataset.js";
import { formatCount } from "../../training/progress.js";
import { defineCommand } from "../command.js";
import { dataSourceOf } from "../data-sources.js";
import { openModelFor } from "../open-model.js";
import { given, option, optionOr } from "../options.js";
import { dataOptions, modelOptions } from "../shared-options.js";
import { table } from "../table.js";
import type { Paint } from "../terminal.js";
import { describePreview } from "../text-preview.js";
import { oneOf, parsePositive, parseText } from "../values.js";

const { data: where, ...moreData } = dataOptions;

export const inspect = defineCommand({
  name: "inspect",
  summary: "Show a model's layers, its parameters, and what each method would train on it; or its view of text data.",
  details:
    "Also what 0.1 %, 1 % and 5 % of the model's parameters allow: which methods, at which rank, with how many parameters. " +
    "With --data the first examples as the model will see them, tokens that the loss leaves out dimmed, and how long all " +
    "examples are.",
  arguments: { model: "folder of the pretrained model" },
  options: {
    ...moreData,
    data: option("path", `${where.text}; text alone can be shown`, parseText),
    examples: optionOr("3", "count", "examples that --data shows", parsePositive),
    split: optionOr(
      "train",
      "name",
      "whose examples: train, validation or test",
      oneOf(["train", "validation", "test"]),
    ),
    ...modelOptions,
  },
  examples: [
    { command: "glora inspect models/vit-micro", text: "A model and its budgets" },
    { command: "glora inspect models/vit-micro --json", text: "The same for a program" },
    { command: "glora inspect smollm2 --data alpaca.json", text: "What a language model is trained on" },
  ],
  async run({ model: path, config, device, imageSize, examples, split, ...values }, context) {
    const model = await openModelFor(context, path, given({ config, device, imageSize }));
    try {
      if (values.data !== undefined) {
        const data = await openData(dataSourceOf(values.data, values));
        if (!isTextDataset(data))
          throw new GloraError("USAGE", `--data ${values.data}: holds images; text data can be shown.`, {
            data: data.name,
          });
        const preview = await previewExamples(data, model.input, { count: examples, split });
        context.emit(preview);
        context.print(describePreview(preview, context.paint));
        return;
      }
      const facts = inspectModel(model);
      context.emit(facts);
      context.print(describe(facts, context.paint));
    } finally {
      await model.runtime.dispose();
    }
  },
});

function describe(facts: ModelFacts, paint: Paint): string {
  const { name, family, parameters, layers, head, labels, input, methods, budgets } = facts;
  const some = labels?.slice(0, 5).join("; ");
  const classes = head
    ? `${head.layers.at(-1)!.name}, ${head.out} outputs${some ? ` (${some}${head.out > 5 ? "; …" : ""})` : ""}`
    : "none";
  const overview = table(
    ["", ""],
    [["family", family], ["parameters", formatCount(parameters)], ["head", classes], inputRow(input)],
  );
  const layerTable = table(
    ["layer", "in", "out", "bias", "parameters"],
    layers.map((layer) => [layer.name, layer.in, layer.out, biasText(layer), layer.parameters]),
    paint,
  );
  const methodTable = table(
    ["method", "rank", { title: "parameters", align: "right" }, { title: "of the model", align: "right" }],
    methods.map(({ method, rank, smallest, largest }) => [
      method,
      rank,
      smallest === largest ? largest : `${formatCount(smallest)} to ${formatCount(largest)}`,
      percent(largest / parameters),
    ]),
    paint,
  );
  const budgetTable = table(
    ["method", ...budgets.map((b) => `${percent(b.share)}: ${formatCount(b.parameters)}`)],
    [...new Set(methods.map(({ method }) => method))].map((method) => [
      method,
      ...budgets.map((b) => withinText(b.methods.find((within) => within.method === method))),
    ]),
    paint,
  );
  return [
    paint("bold", name),
    overview,
    `\n${layers.length} linear layers that can be adapted${targetsText(facts)}`,
    layerTable,
    "\nAdapter parameters of each method, the head not counted",
    methodTable,
    "\nWhat a budget of the model's parameters allows",
    budgetTable,
  ].join("\n");
}

function withinText(within: ModelFacts["budgets"][number]["methods"][number] | undefined): string {
  if (!within) return "–";
  const { method, rank, parameters } = within;
  const most = method === "glora" ? `up to ${formatCount(parameters)}` : formatCount(parameters);
  return rank === undefined ? most : `${most}, rank ${rank}`;
}

const biasText = ({ bias, addableBias }: ModelFacts["layers"][number]): string =>
  bias ? "yes" : addableBias ? "can be added" : "no";

const targetsText = ({ layers, targets }: ModelFacts): string =>
  targets.length === layers.length ? "" : `; unless --layers says otherwise, the ${targets.length} of attention are`;

function inputRow(input: ModelFacts["input"]): [string, string] {
  if (input.kind === "image") {
    const { interpolation, mean, std } = input;
    return ["image", `${sizeText(input)}, ${interpolation}, mean ${mean.join(" ")}, std ${std.join(" ")}`];
  }
  return ["text", `up to ${input.maxTokens} tokens of ${input.vocabulary}, ${input.attention}`];
}

function sizeText({ resize, crop, channels }: ImagePreprocessing): string {
  const size = crop ?? (resize.mode === "shortest-edge" ? { height: resize.edge, width: resize.edge } : resize);
  return `${size.height} × ${size.width}, ${channels} channels`;
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(2))} %`;
