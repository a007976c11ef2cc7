import { openAdapterPath } from "../../adapters/adapter-file.node.js";
import { exportPeft } from "../../adapters/interchange/export-peft.node.js";
import { defineCommand } from "../command.js";
import { attachFor, openModelFor } from "../open-model.js";
import { given, option, required } from "../options.js";
import { modelOptions } from "../shared-options.js";
import { oneOf, parseText } from "../values.js";

export const exportAdapter = defineCommand({
  name: "export-adapter",
  summary: "Write an adapter as Hugging Face PEFT would have saved it, where PEFT can say it exactly.",
  details:
    "LORA where no layer has more than B and E, else GLORA, else LORA with biases; an adapter that neither can say is " +
    "refused with the reason for each layer.",
  arguments: {},
  options: {
    model: required("folder", "the model that the adapter was trained on", parseText),
    adapter: required("folder", "the adapter, for instance RUN/adapter", parseText),
    out: required("folder", "a new folder for PEFT's files", parseText),
    type: option("name", "LORA or GLORA; default: whichever is exact", oneOf(["LORA", "GLORA"])),
    ...modelOptions,
  },
  examples: [
    {
      command: "glora export-adapter --model models/vit-micro --adapter runs/flowers/adapter --out flowers-peft",
      text: "The adapter of a run for PeftModel.from_pretrained",
    },
  ],
  async run({ model: path, adapter: folder, out, type: wanted, config, device, imageSize }, context) {
    const model = await openModelFor(context, path, given({ config, device, imageSize }));
    try {
      const adapted = await attachFor(context, model, await openAdapterPath(folder));
      const type = await exportPeft(adapted, out, wanted);
      context.emit({ exported: out, type });
      context.print(`Exported as ${type}: ${out}`);
    } finally {
      await model.runtime.dispose();
    }
  },
});
