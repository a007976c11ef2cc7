import { openAdapterPath } from "../../adapters/adapter-file.node.js";
import { attachAdapter } from "../../adapters/attach.js";
import { openData } from "../../data/open.node.js";
import { testModel } from "../../evaluation/test-model.js";
import { openModel } from "../../models/open.node.js";
import { trackProgress } from "../../training/progress.js";
import { defineCommand } from "../command.js";
import { metricsTable } from "../metrics-table.js";
import { given, option, optionOr, required } from "../options.js";
import { dataOptions, modelOptions } from "../shared-options.js";
import { oneOf, parsePositive, parseText } from "../values.js";

export const evalCommand = defineCommand({
  name: "eval",
  summary: "Score a model, merged or with an adapter, on labelled images.",
  arguments: {},
  options: {
    model: required("folder", "the model: pretrained, or merged by glora", parseText),
    ...dataOptions,
    adapter: option("folder", "score this adapter on the model, unmerged", parseText),
    split: optionOr(
      "test",
      "name",
      "which examples: train, validation or test",
      oneOf(["train", "validation", "test"]),
    ),
    batchSize: optionOr("32", "count", "images that run through the graph at once", parsePositive),
    ...modelOptions,
  },
  examples: [
    { command: "glora eval --model flowers-vit --data flowers", text: "A merged model on the test split" },
    {
      command: "glora eval --model models/vit-micro --adapter run/adapter --data digits --split validation",
      text: "An adapter that is not merged",
    },
  ],
  async run(
    { model: path, data: source, splitShares, dataSeed, adapter: folder, split, batchSize, config, device },
    context,
  ) {
    const data = await openData({ path: source, ...given({ split: splitShares, seed: dataSeed }) });
    const model = await openModel(path, given({ config, device }));
    try {
      const subject = folder === undefined ? model : await attachAdapter(model, await openAdapterPath(folder));
      let report: ReturnType<typeof trackProgress> | undefined;
      let seen = 0;
      const metrics = await testModel(subject, data, {
        split,
        batchSize,
        signal: context.signal,
        onProgress: (done, total) => {
          report ??= trackProgress(total, () => performance.now() / 1000);
          context.onEvent({
            type: "progress",
            phase: "scores",
            unit: "example",
            progress: report.advance(done - seen),
            detail: "",
          });
          seen = done;
        },
      });
      context.emit({ split, ...metrics });
      context.print(metricsTable({ [split]: metrics }, context.paint));
    } finally {
      await model.runtime.dispose();
    }
  },
});
