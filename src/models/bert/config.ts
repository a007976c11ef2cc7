import { GloraError } from "../../base/errors.js";
import { Fields, throwProblems } from "../../formats/fields.js";
import { ACTIVATION_NAMES, type ActivationName } from "../activations.js";
import type { Loss } from "../loss.js";
import { paddingRow, readPadId } from "../padding.js";
import { readLabels, readLoss } from "../problem.js";
import { FAMILIES, type Family } from "./families.js";

/** Everything that the forward pass of an encoder needs to know beside its weights. */
export interface BertConfig {
  readonly family: Family;
  /** transformers' class, for messages and exports. */
  readonly architecture: string;
  readonly vocabulary: number;
  /** Embedding dimension. */
  readonly width: number;
  /** Encoder layers. */
  readonly depth: number;
  readonly heads: number;
  /** Dimension inside the feed-forward network. */
  readonly hidden: number;
  readonly activation: ActivationName;
  /** Added to the variance by every LayerNorm. */
  readonly epsilon: number;
  /** Rows of the table of position embeddings. */
  readonly positions: number;
  /** The token that fills texts up; undefined: none is set aside for it. */
  readonly padId: number | undefined;
  /** The id of padding tokens where positions are counted, and the position that they have: RoBERTa and MPNet. */
  readonly paddingIndex?: number;
  /** Kinds of text that tokens tell apart; 0: the family tells none. */
  readonly tokenTypes: number;
  /** Rows of the table of attention biases by distance: MPNet. */
  readonly distanceBuckets?: number;
  /** Names of the head's outputs; none: there is no head. */
  readonly labels: readonly string[];
  /** What transformers takes for these labels. */
  readonly loss: Loss;
}

/** The longest sequence that there are position embeddings for. */
export const maxTokens = ({ positions, paddingIndex = -1 }: BertConfig): number => positions - paddingIndex - 1;

/** The token that PyTorch takes for padding: its embedding is not trained. */
export const paddingToken = ({ padId, paddingIndex = padId, vocabulary }: BertConfig): number | undefined =>
  paddingRow(paddingIndex, vocabulary);

/**
 * Reads the config.json of an encoder of {@link FAMILIES}.
 *
 * @param file       for messages
 * @param classifies whether the weights hold a classifier; asked only where the file names no architecture
 * @throws {GloraError} "MODEL" for an architecture that is not built here, "CONFIG" with all problems of the fields at once
 */
export function parseBertConfig(config: unknown, file: string, classifies = false): BertConfig {
  const fields = new Fields(config);
  const family = fields.choice("model_type", undefined, FAMILIES);
  throwProblems("CONFIG", file, fields.problems);
  const architecture = modelClass(fields, family, file, classifies);
  const labels = architecture.endsWith(CLASSIFIER) ? readLabels(fields) : [];
  const { spelling, defaults } = family;
  const names = family.fields;
  const paddingIndex =
    family.positions === "padding"
      ? (family.paddingIndex ?? fields.natural("pad_token_id", defaults.padId, 0))
      : undefined;
  const parsed: BertConfig = {
    family,
    architecture,
    vocabulary: fields.natural("vocab_size", defaults.vocabulary),
    width: fields.natural(names.width, 768),
    depth: fields.natural(names.depth, defaults.depth),
    heads: fields.natural(names.heads, 12),
    hidden: fields.natural(names.hidden, 3072),
    activation: fields.choice(names.activation, "gelu", ACTIVATION_NAMES),
    epsilon: family === FAMILIES["distilbert"] ? 1e-12 : fields.positive("layer_norm_eps", 1e-12),
    positions: fields.natural("max_position_embeddings", 512),
    padId: readPadId(fields, defaults.padId),
    ...(paddingIndex !== undefined && { paddingIndex }),
    tokenTypes: spelling.types === undefined ? 0 : fields.natural("type_vocab_size", 2),
    ...(spelling.distances !== undefined && {
      distanceBuckets: fields.natural("relative_attention_num_buckets", BUCKETS, BUCKETS),
    }),
    labels,
    loss: labels.length > 0 ? readLoss(fields, labels.length) : "cosine",
  };
  refuseOthers(fields, parsed);
  throwProblems("CONFIG", file, fields.problems);
  return parsed;
}

/** MPNet's code takes 32 buckets whatever the config says; only a larger table changes nothing. */
const BUCKETS = 32;

/** What would be another forward pass, and numbers that do not go together. */
function refuseOthers(fields: Fields, c: BertConfig): void {
  if (fields.text("position_embedding_type", "absolute") !== "absolute")
    fields.refuse("position_embedding_type", 'only "absolute" is supported');
  for (const decoder of ["is_decoder", "add_cross_attention"])
    if (fields.boolean(decoder, false)) fields.refuse(decoder, "only false is supported: an encoder");
  if (fields.has("quantization_config")) fields.refuse("quantization_config", "quantized weights are not supported");
  if (fields.problems.length > 0) return;
  if (c.width % c.heads !== 0) fields.problems.push(`a width of ${c.width} cannot be shared by ${c.heads} heads`);
  if (c.padId !== undefined && paddingRow(c.padId, c.vocabulary) === undefined)
    fields.refuse("pad_token_id", `${c.padId} is not in the vocabulary of ${c.vocabulary} tokens`);
  if (maxTokens(c) < 1)
    fields.problems.push(
      `${c.positions} position embeddings (max_position_embeddings) end in front of the first token, which has number ` +
        `${c.paddingIndex! + 1}`,
    );
}

const CLASSIFIER = "ForSequenceClassification";

/** What a checkpoint may be saved as: with a classifier, or as a base, whose own head (if any) plays no part. */
const KINDS = ["Model", "ForMaskedLM", "ForPreTraining", CLASSIFIER];

export const classOf = ({ className }: Family, kind: "model" | "classifier"): string =>
  className + (kind === "model" ? "Model" : CLASSIFIER);

function modelClass(fields: Fields, family: Family, file: string, classifies: boolean): string {
  const classes = fields.raw("architectures");
  const fallback = classOf(family, classifies ? "classifier" : "model");
  const name: unknown = Array.isArray(classes) && classes.length > 0 ? classes[0] : fallback;
  const known = KINDS.map((kind) => family.className + kind);
  if (typeof name === "string" && known.includes(name)) return name;
  throw new GloraError(
    "MODEL",
    `${file}: architecture ${JSON.stringify(name)} is not supported; ${known.join(", ")} are.`,
    { file, architecture: name },
  );
}
