import { openAdapterPath } from "../../adapters/adapter-file.node.js";
import { attachAdapter } from "../../adapters/attach.js";
import { imageFiles } from "../../data/image-files.node.js";
import { predict as predictSplit } from "../../evaluation/predict.js";
import { openModel } from "../../models/open.node.js";
import { trackProgress } from "../../training/progress.js";
import { defineCommand } from "../command.js";
import { given, option, optionOr, required } from "../options.js";
import { modelOptions } from "../shared-options.js";
import { parsePositive, parseText } from "../values.js";

export const predict = defineCommand({
  name: "predict",
  summary: "Name the class of each image of a folder.",
  details: "With --json one object a line: file, label, probability, logits.",
  arguments: {},
  options: {
    model: required("folder", "the model: pretrained, or merged by glora", parseText),
    data: required("path", "a folder of images, searched to any depth, or one image", parseText),
    adapter: option("folder", "predict with this adapter on the model, unmerged", parseText),
    batchSize: optionOr("32", "count", "images that run through the graph at once", parsePositive),
    ...modelOptions,
  },
  examples: [
    { command: "glora predict --model flowers-vit --data photos", text: "What is on the photographs of a folder" },
    {
      command: "glora predict --model models/vit-micro --adapter run/adapter --data photos --json",
      text: "For a program, with an adapter that is not merged",
    },
  ],
  async run({ model: path, data, adapter: folder, batchSize, config, device }, context) {
    const model = await openModel(path, given({ config, device }));
    try {
      const images = await imageFiles(data);
      const subject = folder === undefined ? model : await attachAdapter(model, await openAdapterPath(folder));
      const split = images.prepare(model.input);
      const tracker = trackProgress(split.size, () => performance.now() / 1000);
      for await (const prediction of predictSplit(subject, split, { batchSize, signal: context.signal })) {
        const { file, label, probability } = prediction;
        context.emit(prediction);
        context.print(`${file}  ${label}  ${(100 * probability).toFixed(1)} %`);
        context.onEvent({ type: "progress", phase: "predict", unit: "image", progress: tracker.advance(), detail: "" });
      }
      if (images.ignored.length > 0) {
        const count = images.ignored.length;
        context.note(
          count === 1 ? "1 file is no image that can be read." : `${count} files are no images that can be read.`,
        );
      }
    } finally {
      await model.runtime.dispose();
    }
  },
});
