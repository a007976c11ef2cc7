import type { TensorEntry } from "../../formats/safetensors.js";
import { checkDepth, checkTensors } from "../check-tensors.js";
import type { LinearLayer } from "../model.js";
import type { LlamaConfig } from "./config.js";

/** Checkpoint names of the modules, without ".weight" and ".bias". */
export interface LlamaNames {
  /** In front of the trunk's names: "model.", or nothing in a bare LlamaModel. */
  readonly prefix: string;
  readonly embedding: string;
  readonly blocks: readonly BlockNames[];
  readonly finalNorm: string;
  readonly languageHead: string;
  readonly labelHead: string;
}

export interface BlockNames {
  readonly norm1: string;
  readonly attention: AttentionNames;
  readonly norm2: string;
  readonly mlp: MlpNames;
}

/** Three layers, or Phi-3's one [(heads + 2·keyValueHeads)·d, width]. */
export type AttentionNames = {
  readonly output: string;
  /** In the checkpoint only where heads are normalised. */
  readonly queryNorm: string;
  readonly keyNorm: string;
} & ({ readonly qkv: string } | { readonly query: string; readonly key: string; readonly value: string });

/** Two layers, or Phi-3's one [2·hidden, width]. */
export type MlpNames = { readonly down: string } & (
  | { readonly gateUp: string }
  | { readonly gate: string; readonly up: string }
);

/** What {@link checkLlamaTensors} found. */
export interface LlamaTensors {
  readonly names: LlamaNames;
  /** Every linear layer but the head, in the order of the forward pass. */
  readonly layers: readonly LinearLayer[];
  /** Tensors of the file that play no part. */
  readonly unused: readonly string[];
}

/**
 * Names the parts of a checkpoint, and checks that it holds what the config says and nothing else.
 * @throws {GloraError} "MODEL" with every tensor that is missing, unexpected, misshapen or of a type that is not computed with
 */
export function checkLlamaTensors(
  { tensors }: { readonly tensors: ReadonlyMap<string, TensorEntry> },
  config: LlamaConfig,
  file: string,
): LlamaTensors {
  const model = `model_type ${config.family}`;
  const bare =
    tensors.has("embed_tokens.weight") || (config.head === "none" && !tensors.has("model.embed_tokens.weight"));
  const prefix = bare ? "" : "model.";
  checkDepth(tensors, `${prefix}layers.`, config.depth, file, model);
  const names = namesOf(prefix, config);
  const layers = names.blocks.flatMap((block) => linearLayers(block, config));
  const expected = expectedShapes(names, layers, config);

  const mayBeUnused = (name: string): boolean => name === `${names.languageHead}.weight` && !readsHead(config);
  const unused = checkTensors(tensors, expected, mayBeUnused, file, model);
  return { names, layers, unused };
}

/** Whether the output layer's own tensor is used: not where it is tied, or the model bare. */
const readsHead = ({ tied, head }: LlamaConfig): boolean => head !== "none" && !(head === "language" && tied);

function namesOf(prefix: string, { depth, packed }: LlamaConfig): LlamaNames {
  const block = (i: number): BlockNames => {
    const at = `${prefix}layers.${i}.`;
    const attention = {
      output: `${at}self_attn.o_proj`,
      queryNorm: `${at}self_attn.q_norm`,
      keyNorm: `${at}self_attn.k_norm`,
    };
    return {
      norm1: `${at}input_layernorm`,
      norm2: `${at}post_attention_layernorm`,
      attention: packed
        ? { ...attention, qkv: `${at}self_attn.qkv_proj` }
        : {
            ...attention,
            query: `${at}self_attn.q_proj`,
            key: `${at}self_attn.k_proj`,
            value: `${at}self_attn.v_proj`,
          },
      mlp: packed
        ? { gateUp: `${at}mlp.gate_up_proj`, down: `${at}mlp.down_proj` }
        : { gate: `${at}mlp.gate_proj`, up: `${at}mlp.up_proj`, down: `${at}mlp.down_proj` },
    };
  };
  return {
    prefix,
    embedding: `${prefix}embed_tokens`,
    blocks: Array.from({ length: depth }, (_, i) => block(i)),
    finalNorm: `${prefix}norm`,
    languageHead: "lm_head",
    labelHead: "score",
  };
}

function linearLayers({ attention, mlp }: BlockNames, c: LlamaConfig): LinearLayer[] {
  const [queries, keys] = [c.heads * c.headWidth, c.keyValueHeads * c.headWidth];
  const layer = (name: string, input: number, out: number, part: keyof LlamaConfig["biases"]): LinearLayer => {
    const bias = c.biases[part];
    return { name, in: input, out, bias, addableBias: c.flagged[part] && !bias };
  };
  return [
    ...("qkv" in attention
      ? [layer(attention.qkv, c.width, queries + 2 * keys, "inputs")]
      : [
          layer(attention.query, c.width, queries, "inputs"),
          layer(attention.key, c.width, keys, "inputs"),
          layer(attention.value, c.width, keys, "inputs"),
        ]),
    layer(attention.output, queries, c.width, "output"),
    ...("gateUp" in mlp
      ? [layer(mlp.gateUp, c.width, 2 * c.hidden, "mlp")]
      : [layer(mlp.gate, c.width, c.hidden, "mlp"), layer(mlp.up, c.width, c.hidden, "mlp")]),
    layer(mlp.down, c.hidden, c.width, "mlp"),
  ];
}

/** Every tensor that the forward pass needs. */
function expectedShapes(
  names: LlamaNames,
  layers: readonly LinearLayer[],
  c: LlamaConfig,
): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([[`${names.embedding}.weight`, [c.vocabulary, c.width]]]);
  for (const { norm1, norm2, attention } of names.blocks) {
    for (const norm of [norm1, norm2]) shapes.set(`${norm}.weight`, [c.width]);
    if (c.headNorm)
      for (const norm of [attention.queryNorm, attention.keyNorm]) shapes.set(`${norm}.weight`, [c.headWidth]);
  }
  for (const { name, in: width, out, bias } of layers) {
    shapes.set(`${name}.weight`, [out, width]);
    if (bias) shapes.set(`${name}.bias`, [out]);
  }
  shapes.set(`${names.finalNorm}.weight`, [c.width]);
  if (c.head === "language" && !c.tied) shapes.set(`${names.languageHead}.weight`, [c.vocabulary, c.width]);
  if (c.head === "labels") shapes.set(`${names.labelHead}.weight`, [c.labels.length, c.width]);
  return shapes;
}
