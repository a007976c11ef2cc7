/** A LLaMA or one of its kin from a folder of transformers as a {@link Model}. */
import { GloraError } from "../../base/errors.js";
import type { TextInput } from "../../data/text/text-input.js";
import { withoutTensors } from "../../formats/checkpoint.js";
import type { Loss } from "../loss.js";
import { type Head, linearHead, type Model } from "../model.js";
import { fillerId } from "../padding.js";
import type { ModelParts } from "../parts.js";
import { lossOfTask } from "../problem.js";
import { checkTexts } from "../text-feeds.js";
import { type Weight, weightsOf } from "../weights.js";
import { type LlamaConfig, parseLlamaConfig } from "./config.js";
import { exportLlama } from "./export.js";
import { completeFeeds } from "./feeds.js";
import { type LlamaTrunk, languageHead, llamaTrunk } from "./forward.js";
import { checkLlamaTensors, type LlamaTensors } from "./names.js";
import { serveLabels, serveLanguage } from "./serving.js";

/**
 * @throws {GloraError} CONFIG for a config that cannot be; MODEL for an architecture that is not known, or with every tensor
 *   that is missing, unexpected or misshapen
 */
export function openLlama(parts: ModelParts): Model {
  const { checkpoint, folder, rawConfig, file } = parts;
  const config = parseLlamaConfig(rawConfig, file);
  const tensors = checkLlamaTensors(checkpoint, config, folder.name);
  const weights = weightsOf(checkpoint);
  const { languageHead: nextToken, labelHead } = tensors.names;
  if (config.head !== "language" || config.tied) weights.delete(`${nextToken}.weight`);
  const used = { ...parts, checkpoint: withoutTensors(checkpoint, folder.name, tensors.unused) };
  return llamaModel(used, { config, tensors, weights, head: pretrainedHead(config, nextToken, labelHead) });
}

interface Opened {
  readonly config: LlamaConfig;
  readonly tensors: LlamaTensors;
  readonly weights: ReadonlyMap<string, Weight>;
  readonly head: Head | undefined;
}

function pretrainedHead({ head, width, vocabulary, labels }: LlamaConfig, nextToken: string, label: string) {
  if (head === "none") return undefined;
  const language = head === "language";
  const out = language ? vocabulary : labels.length;
  return headOf(language ? nextToken : label, width, out, !language, true);
}

const headOf = (name: string, width: number, out: number, trained: boolean, pretrained: boolean): Head => ({
  layers: [{ name, in: width, out, bias: false }],
  in: width,
  out,
  trained,
  pretrained,
});

function llamaModel(parts: ModelParts, opened: Opened): Model {
  const { folder, checkpoint, runtime, rawConfig } = parts;
  const { config, tensors, weights, head } = opened;
  const { names, layers } = tensors;
  const perToken = config.head !== "labels";
  const labels = perToken ? undefined : config.labels;
  const trunk: LlamaTrunk = { config, names };
  const input: TextInput = {
    kind: "text",
    tokenizer: () => parts.tokenizer(),
    attention: "causal",
    maxTokens: config.maxTokens,
    vocabulary: config.vocabulary,
    padId: fillerId(config.padId, config.vocabulary),
    tokenTypes: false,
  };
  return {
    name: folder.name,
    family: config.family,
    runtime,
    folder,
    checkpoint,
    weights,
    layers,
    targets: ATTENTION, // as the published runs on LLaMA
    head,
    labels,
    input,
    residualBranches: 2 * config.depth,
    rows: perToken ? "tokens" : "examples",
    loss: config.loss,
    ...(config.head === "language" && {
      vocabulary: `${config.tied ? names.embedding : names.languageHead}.weight`,
      cache: { layers: config.depth, heads: config.keyValueHeads, headWidth: config.headWidth },
      serving: (g, w) => serveLanguage(g, w, trunk),
    }),
    ...(config.head === "labels" && { serving: (g, w) => serveLabels(g, w, trunk, head!) }),
    inputs: (g) => ({
      input_ids: g.input("input_ids", "int64", ["batch", "tokens"]),
      attention_mask: g.input("attention_mask", "int64", ["batch", "tokens"]),
      position_ids: g.input("position_ids", "int64", ["batch", "tokens"]),
      ...(perToken && { scored: g.input("scored", "int32", ["rows"]) }),
    }),
    feeds: (inputs) => completeFeeds(inputs, perToken),
    trunk: (g, w, inputs, o = {}) => llamaTrunk(g, w, inputsOf(inputs), trunk, o),
    logits: (g, w, features) =>
      config.head === "language" ? languageHead(g, w, features, trunk) : linearHead(w, head!, features),
    withTask(task) {
      if (task.kind === "language" && config.head === "language") return this;
      if (!("labels" in task))
        throw new GloraError(
          "MODEL",
          `${folder.name}: ${task.kind === "language" ? "the checkpoint has no head for the next token" : `a decoder is not trained here for a task of the kind "${task.kind}"`}.`,
          { folder: folder.name, task: task.kind },
        );
      return llamaModel(parts, withLabels(opened, task.labels, lossOfTask(task), input.padId));
    },
    async fitInputs(inputs) {
      checkTexts(inputs, config.vocabulary);
      return this;
    },
    exportSpec: (o) => exportLlama({ config, rawConfig, names, head, labels }, o),
  };
}

const inputsOf = (inputs: Parameters<Model["trunk"]>[2]): Parameters<typeof llamaTrunk>[2] => ({
  ids: inputs["input_ids"]!,
  mask: inputs["attention_mask"]!,
  positions: inputs["position_ids"],
  scored: inputs["scored"],
});

const ATTENTION = ["*.self_attn.*"];

/** The trunk with a new head of labels. A token must be set aside for padding: it tells where a text ends. */
function withLabels(
  { config, tensors, weights }: Opened,
  labels: readonly string[],
  loss: Loss,
  padId: number,
): Opened {
  const { languageHead: nextToken, labelHead } = tensors.names;
  const old = new Set([`${nextToken}.weight`, `${labelHead}.weight`]);
  return {
    config: { ...config, head: "labels", labels, loss, padId },
    tensors,
    weights: new Map([...weights].filter(([name]) => !old.has(name))),
    head: headOf(labelHead, config.width, labels.length, true, false),
  };
}
