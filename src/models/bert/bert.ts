/** BERT or one of its kin from a folder of transformers or sentence-transformers as a {@link Model}. */
import { GloraError } from "../../base/errors.js";
import type { TextInput } from "../../data/text/text-input.js";
import { withoutTensors } from "../../formats/checkpoint.js";
import type { Builder } from "../../ir/builder.js";
import type { Loss } from "../loss.js";
import type { Head, LinearLayer, Model } from "../model.js";
import { fillerId } from "../padding.js";
import type { ModelParts } from "../parts.js";
import { lossOfTask } from "../problem.js";
import { type Weight, weightsOf } from "../weights.js";
import { type BertConfig, maxTokens, parseBertConfig } from "./config.js";
import { exportBert } from "./export.js";
import { FAMILIES } from "./families.js";
import { checkFeeds, completeFeeds } from "./feeds.js";
import { type BertInputs, type BertTrunk, bertLogits, bertTrunk, hiddenStates, type Pooling } from "./forward.js";
import { type BertNames, type BertTensors, checkBertTensors, holdsClassifier } from "./names.js";
import { embeddingPooling } from "./pooling.js";

/** Values of `model_type` that {@link openBert} opens. */
export const bertTypes: readonly string[] = Object.keys(FAMILIES);

/**
 * Opens an encoder with its classifier, or without a head: then its features are embeddings of the texts, pooled as
 * sentence-transformers does.
 *
 * @throws {GloraError} CONFIG for a config that cannot be; MODEL for an architecture that is not built here, or with every
 *   tensor that is missing, unexpected or misshapen
 */
export async function openBert(parts: ModelParts): Promise<Model> {
  const { folder, checkpoint, rawConfig, file } = parts;
  const config = parseBertConfig(rawConfig, file, holdsClassifier(checkpoint.tensors));
  const tensors = checkBertTensors(checkpoint, config, folder.name);
  const weights = weightsOf(checkpoint);
  const fixed = {
    ...parts,
    checkpoint: withoutTensors(checkpoint, folder.name, tensors.unused),
    config,
    tensors,
    embedding: await embeddingPooling(folder),
  };
  const { labels, loss } = config;
  if (labels.length === 0) return bertModel(fixed, { weights, loss });
  return bertModel(fixed, { weights, head: headOf(config, tensors.names, labels.length, true), labels, loss });
}

/** What stays whatever the model is trained for. */
interface Fixed extends ModelParts {
  readonly config: BertConfig;
  readonly tensors: BertTensors;
  /** What an embedding of a text is, where there is no head. */
  readonly embedding: Pooling;
  /** Inputs that a caller gives, and may leave out. */
  readonly further?: readonly string[];
}

interface Varying {
  readonly weights: ReadonlyMap<string, Weight>;
  readonly head?: Head;
  readonly labels?: readonly string[];
  readonly loss: Loss;
}

function headOf({ width }: BertConfig, { head }: BertNames, out: number, pretrained: boolean): Head {
  const layers = head.map((name, i) => ({ name, in: width, out: i === head.length - 1 ? out : width, bias: true }));
  return { layers, in: width, out, trained: true, pretrained };
}

function bertModel(fixed: Fixed, { weights, head, labels, loss }: Varying): Model {
  const { config, tensors, folder, checkpoint, runtime, rawConfig } = fixed;
  const { names, unused } = tensors;
  const { width, tokenTypes } = config;
  const trunk: BertTrunk = { config, names, fixedPadding: true };
  const pooling = !head ? fixed.embedding : names.pooler === undefined ? "first" : "pooler";
  const pooler: LinearLayer[] =
    pooling === "pooler" ? [{ name: names.pooler!, in: width, out: width, bias: true, addableBias: false }] : [];
  const input: TextInput = {
    kind: "text",
    tokenizer: () => fixed.tokenizer(),
    attention: "bidirectional",
    maxTokens: maxTokens(config),
    vocabulary: config.vocabulary,
    padId: fillerId(config.padId, config.vocabulary),
    tokenTypes: tokenTypes > 1,
  };
  const inputs = (g: Builder): BertInputs => {
    const types = tokenTypes > 0 ? ["token_type_ids"] : [];
    const inputNames = ["input_ids", "attention_mask", ...types, ...(fixed.further ?? [])];
    return Object.fromEntries(inputNames.map((name) => [name, g.input(name, "int64", ["batch", "tokens"])]));
  };
  return {
    name: folder.name,
    family: rawConfig["model_type"] as string,
    runtime,
    folder,
    checkpoint,
    weights,
    layers: [...tensors.layers, ...pooler],
    head,
    labels,
    input,
    residualBranches: 2 * config.depth,
    rows: "examples",
    loss,
    inputs: (g) => ({ ...inputs(g) }),
    feeds: (given) => completeFeeds(given, config),
    trunk: (g, w, given, o = {}) => bertTrunk(g, w, given, trunk, pooling, o),
    logits: (g, w, features) => bertLogits(g, w, features, config, head!),
    serving(g, w) {
      const served = { ...trunk, fixedPadding: false }; // nothing is trained there
      if (head) g.output("logits", bertLogits(g, w, bertTrunk(g, w, inputs(g), served, pooling), config, head));
      else g.output("last_hidden_state", hiddenStates(g, w, inputs(g), served));
    },
    withTask(task) {
      if (task.kind === "language")
        throw new GloraError(
          "MODEL",
          `${folder.name}: an encoder does not go on with a text. It is trained for classes, labels, numbers or similarity.`,
          { folder: folder.name, task: task.kind },
        );
      const kept = new Map(
        [...weights].filter(([name]) => !head?.layers.some((layer) => name.startsWith(`${layer.name}.`))),
      );
      if (task.kind === "similarity") return bertModel(fixed, { weights: kept, loss: "cosine" });
      const fresh = headOf(config, names, task.labels.length, false);
      return bertModel(fixed, { weights: kept, head: fresh, labels: task.labels, loss: lossOfTask(task) });
    },
    async fitInputs(given) {
      checkFeeds(given, config);
      if (!("position_ids" in given)) return this;
      return bertModel(
        { ...fixed, further: ["position_ids"] },
        { weights, loss, ...(head && { head }), ...(labels && { labels }) },
      );
    },
    exportSpec: (o) => exportBert({ config, rawConfig, names, unused, head, labels, loss }, o),
  };
}
