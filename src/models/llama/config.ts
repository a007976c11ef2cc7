import { GloraError } from "../../base/errors.js";
import { Fields, throwProblems } from "../../formats/fields.js";
import { ACTIVATION_NAMES, type ActivationName } from "../activations.js";
import type { Loss } from "../loss.js";
import { readPadId } from "../padding.js";
import { readLabels, readLoss } from "../problem.js";
import { parseRope, type Rope } from "./rope.js";

export type LlamaFamily = "llama" | "mistral" | "qwen2" | "qwen3" | "phi3";

/** What stands behind the trunk: the next token, labels of the whole text, nothing. */
export type LlamaHead = "language" | "labels" | "none";

/** Which linear layers have a bias. */
export interface LlamaBiases {
  /** Queries, keys and values. */
  readonly inputs: boolean;
  /** The attention's output. */
  readonly output: boolean;
  readonly mlp: boolean;
}

/** Everything that the forward pass needs to know beside the weights. */
export interface LlamaConfig {
  readonly family: LlamaFamily;
  readonly head: LlamaHead;
  readonly vocabulary: number;
  /** Embedding dimension. */
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Each is shared by heads / keyValueHeads of the heads. */
  readonly keyValueHeads: number;
  readonly headWidth: number;
  /** Dimension inside the MLP. */
  readonly hidden: number;
  /** SiLU in all published models. */
  readonly activation: ActivationName;
  /** Added to the mean square by every RMSNorm. */
  readonly epsilon: number;
  /** Longest sequence, in tokens, that the config vouches for. */
  readonly maxTokens: number;
  readonly rope: Rope;
  /** For each layer how many tokens it sees, itself included; undefined: all before it. */
  readonly windows: readonly (number | undefined)[];
  readonly biases: LlamaBiases;
  /** The biases that the config has a flag for, whether it is set or not. */
  readonly flagged: LlamaBiases;
  /** Queries and keys of each head are normalised (Qwen3). */
  readonly headNorm: boolean;
  /** Queries, keys and values are one layer, gate and up another (Phi-3). */
  readonly packed: boolean;
  /** The head's weight is the embedding's. */
  readonly tied: boolean;
  /** The token that fills texts up; undefined: none is set aside for it. */
  readonly padId: number | undefined;
  /** Of a head of labels. */
  readonly labels: readonly string[];
  readonly loss: Loss;
}

/** What a family's class of transformers fixes, and the defaults of its config. */
interface Family {
  /** How its class names begin. */
  readonly classes: string;
  /** `flag`: the config says it, by attention_bias or mlp_bias. */
  readonly biases: Readonly<Record<keyof LlamaBiases, boolean | "flag">>;
  readonly headNorm?: true;
  readonly packed?: true;
  readonly defaults: {
    readonly vocabulary: number;
    readonly width: number;
    readonly hidden: number;
    /** As many as heads unless given. */
    readonly keyValueHeads?: number;
    /** width / heads unless given. */
    readonly headWidth?: number;
    readonly maxTokens: number;
    readonly epsilon: number;
    readonly window?: number;
    readonly padId?: number;
  };
}

const NO_BIASES = { inputs: false, output: false, mlp: false };

/** @see transformers 5.23, models/{llama,mistral,qwen2,qwen3,phi3}/configuration_*.py and modeling_*.py */
const FAMILIES: Readonly<Record<LlamaFamily, Family>> = {
  llama: {
    classes: "Llama",
    biases: { inputs: "flag", output: "flag", mlp: "flag" },
    defaults: { vocabulary: 32000, width: 4096, hidden: 11008, maxTokens: 2048, epsilon: 1e-6 },
  },
  mistral: {
    classes: "Mistral",
    biases: NO_BIASES,
    defaults: {
      ...{ vocabulary: 32000, width: 4096, hidden: 14336, keyValueHeads: 8, maxTokens: 131072, epsilon: 1e-6 },
      window: 4096,
    },
  },
  qwen2: {
    classes: "Qwen2",
    biases: { inputs: true, output: false, mlp: false },
    defaults: {
      ...{ vocabulary: 151936, width: 4096, hidden: 22016, keyValueHeads: 32, maxTokens: 32768, epsilon: 1e-6 },
      window: 4096,
    },
  },
  qwen3: {
    classes: "Qwen3",
    biases: { inputs: "flag", output: "flag", mlp: false },
    headNorm: true,
    defaults: {
      ...{ vocabulary: 151936, width: 4096, hidden: 22016, keyValueHeads: 32, maxTokens: 32768, epsilon: 1e-6 },
      ...{ headWidth: 128, window: 4096 },
    },
  },
  phi3: {
    classes: "Phi3",
    biases: NO_BIASES,
    packed: true,
    defaults: { vocabulary: 32064, width: 3072, hidden: 8192, maxTokens: 4096, epsilon: 1e-5, padId: 32000 },
  },
};

export const LLAMA_FAMILIES = Object.keys(FAMILIES) as readonly LlamaFamily[];

/** How the class names of a family begin. */
export const classesOf = (family: LlamaFamily): string => FAMILIES[family].classes;

/**
 * Reads the config.json of a LLaMA or one of its kin, as transformers 5.23 reads it. Dropout, initial values and the like
 * play no part in a pass of evaluation.
 *
 * @param file for messages
 * @throws {GloraError} "MODEL" for an architecture that is not known, "CONFIG" with all problems of the fields at once
 */
export function parseLlamaConfig(json: unknown, file: string): LlamaConfig {
  const fields = new Fields(json);
  const type = fields.text("model_type");
  throwProblems("CONFIG", file, fields.problems);
  if (!Object.hasOwn(FAMILIES, type))
    throw new GloraError("MODEL", `${file}: model_type "${type}" is not one of ${LLAMA_FAMILIES.join(", ")}.`, {
      file,
    });
  const name = type as LlamaFamily;
  const family = FAMILIES[name];
  const { defaults } = family;
  const head = headOf(fields, family, file);

  const [width, depth] = [fields.natural("hidden_size", defaults.width), fields.natural("num_hidden_layers", 32)];
  const heads = fields.natural("num_attention_heads", 32);
  // null is what the class makes of it: no key and value heads of their own, heads that share the width.
  const ownKeys = isNull(fields, "num_key_value_heads") ? heads : (defaults.keyValueHeads ?? heads);
  const keyValueHeads = fields.natural("num_key_value_heads", ownKeys);
  const shared = Math.floor(width / heads) || 1;
  const headWidth = fields.natural("head_dim", isNull(fields, "head_dim") ? shared : (defaults.headWidth ?? shared));
  if (heads % keyValueHeads !== 0)
    fields.refuse("num_key_value_heads", `${heads} heads cannot share ${keyValueHeads} evenly`);
  if (name === "llama" && width % heads !== 0)
    fields.refuse("hidden_size", `${width} cannot be shared by ${heads} heads`);
  if (fields.has("quantization_config")) fields.refuse("quantization_config", "quantized weights are not supported");
  if (fields.raw("is_causal") === false) fields.refuse("is_causal", "attention to later tokens is not supported");

  const maxTokens = fields.natural("max_position_embeddings", defaults.maxTokens);
  const flags = { inputs: "attention_bias", output: "attention_bias", mlp: "mlp_bias" };
  const biasesBy = (decide: (bias: boolean | "flag", flag: string) => boolean): LlamaBiases => {
    const { inputs, output, mlp } = family.biases;
    return { inputs: decide(inputs, flags.inputs), output: decide(output, flags.output), mlp: decide(mlp, flags.mlp) };
  };
  const labels = head === "labels" ? readLabels(fields) : [];
  const config: LlamaConfig = {
    family: name,
    head,
    vocabulary: fields.natural("vocab_size", defaults.vocabulary),
    width,
    depth,
    heads,
    keyValueHeads,
    headWidth,
    hidden: fields.natural("intermediate_size", defaults.hidden),
    activation: fields.choice("hidden_act", "silu", ACTIVATION_NAMES),
    epsilon: fields.positive("rms_norm_eps", defaults.epsilon),
    maxTokens,
    rope: parseRope(fields, { headWidth, maxTokens, phi3: name === "phi3" }),
    windows: windowsOf(fields, name, depth),
    biases: biasesBy((bias, flag) => (bias === "flag" ? fields.boolean(flag, false) : bias)),
    flagged: biasesBy((bias) => bias === "flag"),
    headNorm: family.headNorm ?? false,
    packed: family.packed ?? false,
    tied: fields.boolean("tie_word_embeddings", false),
    padId: readPadId(fields, defaults.padId),
    labels,
    loss: head === "labels" ? readLoss(fields, labels.length) : "cross-entropy",
  };
  throwProblems("CONFIG", file, fields.problems);
  return config;
}

/** Whether a field is there and says null, which to transformers is not the same as a field that is absent. */
const isNull = (fields: Fields, key: string): boolean => fields.keys.includes(key) && !fields.has(key);

function headOf(fields: Fields, { classes }: Family, file: string): LlamaHead {
  const known: Readonly<Record<string, LlamaHead>> = {
    [`${classes}ForCausalLM`]: "language",
    [`${classes}ForSequenceClassification`]: "labels",
    [`${classes}Model`]: "none",
  };
  const listed = fields.raw("architectures");
  const name: unknown = Array.isArray(listed) && listed.length > 0 ? listed[0] : `${classes}ForCausalLM`;
  if (typeof name === "string" && Object.hasOwn(known, name)) return known[name]!;
  const names = Object.keys(known).join(", ");
  throw new GloraError("MODEL", `${file}: architecture ${JSON.stringify(name)} is not supported; known: ${names}.`, {
    file,
  });
}

/** Which layers see a window only: all of Mistral's and Phi-3's where one is set; of Qwen's those that the config lists. */
function windowsOf(fields: Fields, name: LlamaFamily, depth: number): (number | undefined)[] {
  const absent = Array<undefined>(Math.min(depth, MOST_LAYERS)).fill(undefined);
  if (name === "llama") return absent;
  const { window } = FAMILIES[name].defaults;
  const qwen = name === "qwen2" || name === "qwen3";
  const used = !isNull(fields, "sliding_window") && (!qwen || fields.boolean("use_sliding_window", false));
  const given = used && (window !== undefined || fields.has("sliding_window"));
  const size = given ? fields.natural("sliding_window", window) : undefined;
  if (!qwen) return absent.map(() => size);
  const from = fields.natural("max_window_layers", 28, 0);
  if (!fields.has("layer_types")) return absent.map((_, i) => (i >= from ? size : undefined));

  const types = fields.raw("layer_types");
  const wrong = !Array.isArray(types) || types.length !== depth || types.some((type) => !LAYER_TYPES.has(type));
  if (wrong) fields.refuse("layer_types", `${depth} of ${[...LAYER_TYPES].join(", ")} are expected`);
  else if (size === undefined && types.includes(SLIDING))
    fields.refuse("layer_types", `${SLIDING} needs use_sliding_window and a sliding_window`);
  return wrong ? absent : types.map((type) => (type === SLIDING ? size : undefined));
}

const SLIDING = "sliding_attention";
const LAYER_TYPES: ReadonlySet<unknown> = new Set(["full_attention", SLIDING]);

/** A depth above any checkpoint's, which is told when the weights are looked at, must not fill the memory before. */
const MOST_LAYERS = 100_000;
