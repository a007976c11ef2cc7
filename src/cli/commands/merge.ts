import { openAdapterPath, verifyBase } from "../../adapters/adapter-file.node.js";
import { mergeModel } from "../../adapters/export.node.js";
import { rngStream } from "../../base/rng.js";
import type { Tensor } from "../../base/tensor.js";
import type { InputSpec, Split } from "../../data/dataset.js";
import { imageFiles } from "../../data/image-files.node.js";
import { openData } from "../../data/open.node.js";
import type { TextInput } from "../../data/text/text-input.js";
import { givenTexts, unlabelledTexts } from "../../data/text/unlabelled-texts.node.js";
import type { Model } from "../../models/model.js";
import { defineCommand } from "../command.js";
import { mergeLines } from "../merge-lines.js";
import { attachFor, openModelFor } from "../open-model.js";
import { flag, given, option, required } from "../options.js";
import { modelOptions } from "../shared-options.js";
import { oneOf, parseText } from "../values.js";

/** How many examples base, adapted and merged model are compared on. */
const COMPARED = 16;

export const merge = defineCommand({
  name: "merge",
  summary: "Fold an adapter into its model: a plain model of the original shape, checked before it is kept.",
  details:
    "Compares adapted and merged model on real inputs, prints the largest difference of the logits and of each layer, and " +
    "leaves no folder behind when they disagree.",
  arguments: {},
  options: {
    model: required("folder", "the model that the adapter was trained on", parseText),
    adapter: required("folder", "the adapter, for instance RUN/adapter", parseText),
    out: required("folder", "a new folder for the merged model", parseText),
    data: option(
      "path",
      "images or texts for the check; default: digits, a few sentences, or tokens drawn at random where there is no tokenizer",
      parseText,
    ),
    dtype: option(
      "type",
      "type of the stored weights: F32, F16 or BF16; default: the base's own",
      oneOf(["F32", "F16", "BF16"]),
    ),
    verify: flag("compare the model's files with the hashes that the adapter recorded"),
    ...modelOptions,
  },
  examples: [
    {
      command: "glora merge --model models/vit-micro --adapter runs/flowers/adapter --data flowers --out flowers-vit",
      text: "Merge the adapter of a run",
    },
  ],
  async run({ model: path, adapter: folder, out, data, dtype, verify, config, device, imageSize }, context) {
    const model = await openModelFor(context, path, given({ config, device, imageSize }));
    try {
      const file = await openAdapterPath(folder);
      if (verify) await verifyBase(file.manifest.base, model.folder);
      const adapted = await attachFor(context, model, file);
      const inputs = await someInputs(data, adapted.model);
      const result = await mergeModel(adapted, out, { inputs, ...given({ dtype }) });
      context.emit({
        merged: out,
        ...result.report,
        storage: result.storage,
        onnx: result.onnxFolder,
        notes: result.notes,
      });
      context.print(`${mergeLines(result, "every layer")}\n\nMerged: ${out}`);
    } finally {
      await model.runtime.dispose();
    }
  },
});

/** Inputs for the check: what is given, else what the package knows: digits, or a few sentences. */
async function someInputs(path: string | undefined, model: Model): Promise<Record<string, Tensor>> {
  const { input, folder } = model;
  if (input.kind === "text" && path === undefined && !(await folder.open("tokenizer.json"))) return someTokens(input);
  const split = await someExamples(path, input);
  return split.inputs(Array.from({ length: Math.min(COMPARED, split.size) }, (_, i) => i));
}

async function someExamples(path: string | undefined, input: InputSpec): Promise<Split> {
  if (input.kind === "text") {
    const texts = path === undefined ? givenTexts(SENTENCES) : await unlabelledTexts(path);
    return (await texts.prepare(input)).split;
  }
  if (path !== undefined && path !== "digits") return (await imageFiles(path)).prepare(input);
  return (await (await openData({ path: "digits" })).prepare(input)).validation;
}

/** Of a model without a tokenizer: tokens drawn at random. */
function someTokens({ vocabulary, maxTokens }: TextInput): Record<string, Tensor> {
  const rng = rngStream(0, "merge");
  const shape = [4, Math.min(16, maxTokens)] as const;
  const data = BigInt64Array.from({ length: shape[0] * shape[1] }, () => BigInt(rng.int(vocabulary)));
  return { input_ids: { dtype: "int64", shape, data } };
}

const SENTENCES = [
  "The ship left the harbour before dawn, and nobody saw it go.",
  "Preheat the oven to 200 degrees, then mix flour, salt and two eggs.",
  "In 1969 the first people walked on the Moon; the mission took eight days.",
  "I did not like the film at all: too long, too loud, and the ending made no sense.",
];
