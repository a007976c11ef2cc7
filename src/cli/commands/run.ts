import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { AdapterFile } from "../../adapters/adapter-file.js";
import { openAdapterPath } from "../../adapters/adapter-file.node.js";
import { runModel } from "../../adapters/run-model.js";
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import { openFile } from "../../formats/file.node.js";
import { readBytes, readSafetensors, type TensorEntry } from "../../formats/safetensors.js";
import { writeSafetensors } from "../../formats/safetensors-file.node.js";
import type { Model } from "../../models/model.js";
import { formatCount } from "../../training/progress.js";
import { defineCommand } from "../command.js";
import { openModelFor } from "../open-model.js";
import { given, option, required } from "../options.js";
import { modelOptions } from "../shared-options.js";
import { table } from "../table.js";
import { parseText } from "../values.js";

export const run = defineCommand({
  name: "run",
  summary: "Run a model once on tensors from a file: logits, loss and gradients, to compare it with PyTorch.",
  details:
    "Inputs by name: pixel_values F32 [images, channels, height, width], already normalised (another size than the " +
    "model's: position embeddings are resampled); or input_ids of whole numbers [texts, tokens] and, where they are not " +
    "what transformers takes for them, attention_mask, position_ids and token_type_ids of that shape. labels: a class for " +
    "each image or text, a token for each of a language model's (-100: not in the loss), numbers of a regression, F32 of " +
    "several labels. Outputs: logits (features of a model without a head), loss where there are labels, grad.<name> for " +
    "what --grad matches. Evaluation mode, float32.",
  arguments: { model: "folder of the pretrained model" },
  options: {
    inputs: required("file", "inputs, a .safetensors file", parseText),
    outputs: required("file", "where outputs are written, a .safetensors file", parseText),
    adapter: option("folder", "run with this adapter, unmerged", parseText),
    grad: option(
      "pattern",
      "gradients of every weight (blocks.0.attn.qkv.weight) and adapter tensor (blocks.0.attn.qkv.A.Xd) whose name matches; " +
        "* stands for any characters, ? for one",
      parseText,
    ),
    ...modelOptions,
  },
  examples: [
    {
      command: "glora run models/vit-micro --inputs in.safetensors --outputs out.safetensors",
      text: "Logits and loss",
    },
    {
      command:
        "glora run models/vit-micro --inputs in.safetensors --outputs out.safetensors --adapter run/adapter --grad '*.A.*'",
      text: "With an adapter, and the gradients of its supports A",
    },
  ],
  async run({ model: path, inputs: from, outputs: to, adapter: folder, grad, config, device, imageSize }, context) {
    const entries = (await readSafetensors(await openFile(from))).tensors;
    if (grad !== undefined && !entries.has("labels"))
      throw new GloraError("USAGE", `--grad needs a loss: ${from} has no "labels".`, { option: "--grad", file: from });
    const inputs = await readInputs(entries);
    const model = await openModelFor(context, path, given({ config, device, imageSize }));
    try {
      const adapter = folder === undefined ? undefined : await openAdapterPath(folder);
      await checkTarget(to, model, [
        from,
        ...(config === undefined ? [] : [config]),
        ...(folder === undefined || !adapter ? [] : await filesOf(folder, adapter)),
      ]);
      const outputs = await runModel(model, inputs, { ...given({ adapter, grad }), signal: context.signal });
      if (inputs["labels"] && !outputs["loss"])
        context.note(`${path} has no head, so that labels are not used: "features" are written, and no loss.`);
      const written = Object.entries(outputs).map(([name, { shape, data }]) => ({
        name,
        shape,
        dtype: "F32" as const,
        data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      }));
      await writeSafetensors(to, written);
      const loss = outputs["loss"]?.data[0];
      const shapes = written.map(({ name, shape }) => [name, `[${shape.join(", ")}]`] as const);
      context.emit({
        outputs: to,
        ...(loss !== undefined && { loss }),
        tensors: Object.fromEntries(written.map(({ name, shape }) => [name, shape])),
      });
      context.print(
        `${table(["output", "shape"], shapes, context.paint)}\n` +
          `${loss === undefined ? "" : `loss ${loss}\n`}${formatCount(written.length)} tensors in ${to}`,
      );
    } finally {
      await model.runtime.dispose();
    }
  },
});

/** The files that an adapter was read from: its tensors, and what its folder says of them. */
async function filesOf(path: string, { tensors }: AdapterFile): Promise<string[]> {
  const names = (await stat(path)).isDirectory() ? await readdir(path) : [];
  const told = names.filter((name) => ["adapter.json", "adapter_config.json"].includes(name));
  const stored = [...tensors.values()].flatMap(({ source }) => source.path ?? []);
  return [...told.map((name) => join(path, name)), ...new Set(stored)];
}

async function readInputs(entries: ReadonlyMap<string, TensorEntry>): Promise<Record<string, Tensor>> {
  const inputs: Record<string, Tensor> = {};
  for (const entry of entries.values()) inputs[entry.name] = await readInput(entry);
  return inputs;
}

async function readInput(entry: TensorEntry): Promise<Tensor> {
  const { name, dtype, shape, source } = entry;
  const { buffer } = new Uint8Array(await readBytes(entry)); // a copy, and so aligned
  const whole = (values: ArrayLike<number>) => BigInt64Array.from(values, BigInt);
  if (dtype === "F32") return { dtype: "float32", shape, data: new Float32Array(buffer) };
  if (dtype === "I64") return { dtype: "int64", shape, data: new BigInt64Array(buffer) };
  if (dtype === "I32") return { dtype: "int64", shape, data: whole(new Int32Array(buffer)) };
  if (dtype === "BOOL") return { dtype: "int64", shape, data: whole(new Uint8Array(buffer)) };
  throw new GloraError("DATA", `${source.name}: "${name}" is ${dtype}; F32, I64, I32 or BOOL is expected.`, {
    file: source.name,
    tensor: name,
    actual: dtype,
  });
}

/**
 * Refuses to write over what is read, or into a folder that is not there, before anything is computed. Outputs may lie
 * in the model's folder, as .safetensors that are not its own.
 */
async function checkTarget(path: string, { checkpoint, folder }: Model, read: readonly string[]): Promise<void> {
  const refuse = (why: string): never => {
    throw new GloraError("USAGE", `--outputs ${path}: ${why}`, { option: "--outputs", file: path });
  };
  const parent = await realpath(dirname(resolve(path))).catch(() => refuse(`there is no folder ${dirname(path)}.`));
  const target = join(parent, basename(path));
  const existing = await realpath(target).catch(() => undefined);
  if (existing !== undefined && (await stat(existing)).isDirectory()) refuse("is a folder; a file is expected.");

  const weights = [...checkpoint.tensors.values()].map(({ source }) => source.path);
  const others = await Promise.all(read.map((file) => realpath(file)));
  if (existing !== undefined && [...weights, ...others].includes(existing)) refuse("is a file that this run reads.");

  const name = folder.path === undefined ? ".." : relative(folder.path, target);
  const own = [...checkpoint.files, "model.safetensors"].includes(name) || !name.endsWith(".safetensors");
  if (!name.startsWith("..") && own) refuse("would be a file of the model, whose folder is not written to.");
}
