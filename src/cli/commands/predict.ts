import { openAdapterPath } from "../../adapters/adapter-file.node.js";
import type { InputSpec, Split } from "../../data/dataset.js";
import { imageFiles } from "../../data/image-files.node.js";
import { passedOver } from "../../data/image-tree.node.js";
import { unlabelledTexts } from "../../data/text/unlabelled-texts.node.js";
import { type Prediction, predict as predictSplit } from "../../evaluation/predict.js";
import { trackProgress } from "../../training/progress.js";
import { type Context, defineCommand } from "../command.js";
import { attachFor, openModelFor } from "../open-model.js";
import { given, option, optionOr, required } from "../options.js";
import { dataOptions, modelOptions } from "../shared-options.js";
import { parsePositive, parseText } from "../values.js";

const { textColumn, secondColumn, header, maxTokens } = dataOptions;

export const predict = defineCommand({
  name: "predict",
  summary: "Say what images or texts are: the class, the labels or the numbers of each.",
  details:
    "Texts are the lines of a .txt file, or a column of a .tsv, .csv, .jsonl, .json or .parquet file; labels in it are not looked " +
    "at. With --json one object a line: file (and line), logits, and label and probability; or labels with the probability of " +
    "each; or values.",
  arguments: {},
  options: {
    model: required("folder", "the model: pretrained, or merged by glora", parseText),
    data: required("path", "a folder of images, searched to any depth, or one image; a file of texts", parseText),
    adapter: option("folder", "predict with this adapter on the model, unmerged", parseText),
    batchSize: optionOr("32", "count", "examples that run through the graph at once", parsePositive),
    textColumn,
    secondColumn,
    header,
    maxTokens,
    ...modelOptions,
  },
  examples: [
    { command: "glora predict --model flowers-vit --data photos", text: "What is on the photographs of a folder" },
    {
      command: "glora predict --model models/vit-micro --adapter run/adapter --data photos --json",
      text: "For a program, with an adapter that is not merged",
    },
    {
      command: "glora predict --model reviews-bert --data reviews.tsv --text-column review",
      text: "What a table of texts says",
    },
  ],
  async run({ model: path, data, adapter: folder, batchSize, config, device, imageSize, ...texts }, context) {
    const model = await openModelFor(context, path, given({ config, device, imageSize }));
    try {
      const subject = folder === undefined ? model : await attachFor(context, model, await openAdapterPath(folder));
      const { input } = "model" in subject ? subject.model : subject;
      const split =
        input.kind === "text"
          ? await textSplit(input, data, given(texts), context)
          : await imageSplit(input, data, context);
      const tracker = trackProgress(split.size, () => performance.now() / 1000);
      const unit = input.kind;
      for await (const prediction of predictSplit(subject, split, { batchSize, signal: context.signal })) {
        context.emit(prediction);
        context.print(`${prediction.file}  ${spoken(prediction)}`);
        context.onEvent({ type: "progress", phase: "predict", unit, progress: tracker.advance(), detail: "" });
      }
    } finally {
      await model.runtime.dispose();
    }
  },
});

async function imageSplit(input: InputSpec, data: string, context: Context): Promise<Split> {
  const images = await imageFiles(data);
  const note = passedOver({ others: images.ignored });
  if (note !== undefined) context.note(note);
  return images.prepare(input);
}

async function textSplit(
  input: InputSpec,
  data: string,
  options: Parameters<typeof unlabelledTexts>[1],
  context: Context,
): Promise<Split> {
  const { split, truncated } = await (await unlabelledTexts(data, options)).prepare(input);
  if (truncated > 0) context.note(`${truncated} of ${split.size} texts lose their end to the limit of tokens.`);
  return split;
}

const percent = (probability: number): string => `${(100 * probability).toFixed(1)} %`;

/** A prediction in words: the class, the labels of at least one half, or the numbers. */
function spoken({ label, probability = 0, labels, values }: Prediction): string {
  if (values) {
    const [only, ...others] = Object.values(values);
    if (others.length === 0) return only!.toPrecision(4);
    return Object.entries(values)
      .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
      .join(", ");
  }
  if (!labels) return `${label}  ${percent(probability)}`;
  const held = Object.entries(labels).filter(([, p]) => p >= 0.5);
  return held.map(([name, p]) => `${name} ${percent(p)}`).join(", ") || "none";
}
