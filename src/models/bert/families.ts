/** Where the encoders of this folder differ, by the `model_type` of their configs. @see transformers 5.23, models/bert and so on */

/** Names of a trunk's modules, without the prefix that they have in a model with a head. `#` is the number of a layer. */
export interface Spelling {
  readonly words: string;
  readonly positions: string;
  /** Which of two texts a token belongs to. */
  readonly types?: string;
  readonly norm: string;
  /** A bias of attention scores by the distance of two tokens. */
  readonly distances?: string;
  readonly layer: LayerNames;
}

export interface LayerNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly projection: string;
  readonly attentionNorm: string;
  readonly fc1: string;
  readonly fc2: string;
  readonly outputNorm: string;
}

export interface Family {
  /** What the names of transformers' classes begin with: BertModel, BertForMaskedLM … */
  readonly className: string;
  /** In front of the names of the trunk's tensors, in a model with a head. */
  readonly prefix: string;
  readonly spelling: Spelling;
  /** Fields of the config. */
  readonly fields: Readonly<Record<"width" | "depth" | "heads" | "hidden" | "activation", string>>;
  readonly defaults: { readonly depth: number; readonly vocabulary: number; readonly padId: number };
  /**
   * `start`: positions are 0, 1, 2 … `padding`: they begin behind the padding index, and padding tokens, all at that
   * index, are not counted.
   */
  readonly positions: "start" | "padding";
  /** The padding index, where it is not the config's `pad_token_id`. */
  readonly paddingIndex?: number;
  /** Layers of the head, from the class token to the logits; a function stands between them. */
  readonly head: { readonly layers: readonly [string, string]; readonly between: "tanh" | "relu" };
  /** The first of them is the trunk's pooler, wherever the checkpoint has it. */
  readonly pooler: boolean;
}

const bert: Family = {
  className: "Bert",
  prefix: "bert.",
  spelling: {
    words: "embeddings.word_embeddings",
    positions: "embeddings.position_embeddings",
    types: "embeddings.token_type_embeddings",
    norm: "embeddings.LayerNorm",
    layer: {
      query: "encoder.layer.#.attention.self.query",
      key: "encoder.layer.#.attention.self.key",
      value: "encoder.layer.#.attention.self.value",
      projection: "encoder.layer.#.attention.output.dense",
      attentionNorm: "encoder.layer.#.attention.output.LayerNorm",
      fc1: "encoder.layer.#.intermediate.dense",
      fc2: "encoder.layer.#.output.dense",
      outputNorm: "encoder.layer.#.output.LayerNorm",
    },
  },
  fields: {
    width: "hidden_size",
    depth: "num_hidden_layers",
    heads: "num_attention_heads",
    hidden: "intermediate_size",
    activation: "hidden_act",
  },
  defaults: { depth: 12, vocabulary: 30522, padId: 0 },
  positions: "start",
  head: { layers: ["pooler.dense", "classifier"], between: "tanh" },
  pooler: true,
};

const distilbert: Family = {
  className: "DistilBert",
  prefix: "distilbert.",
  spelling: {
    words: "embeddings.word_embeddings",
    positions: "embeddings.position_embeddings",
    norm: "embeddings.LayerNorm",
    layer: {
      query: "transformer.layer.#.attention.q_lin",
      key: "transformer.layer.#.attention.k_lin",
      value: "transformer.layer.#.attention.v_lin",
      projection: "transformer.layer.#.attention.out_lin",
      attentionNorm: "transformer.layer.#.sa_layer_norm",
      fc1: "transformer.layer.#.ffn.lin1",
      fc2: "transformer.layer.#.ffn.lin2",
      outputNorm: "transformer.layer.#.output_layer_norm",
    },
  },
  fields: { width: "dim", depth: "n_layers", heads: "n_heads", hidden: "hidden_dim", activation: "activation" },
  defaults: { depth: 6, vocabulary: 30522, padId: 0 },
  positions: "start",
  head: { layers: ["pre_classifier", "classifier"], between: "relu" },
  pooler: false,
};

const roberta: Family = {
  ...bert,
  className: "Roberta",
  prefix: "roberta.",
  defaults: { depth: 12, vocabulary: 50265, padId: 1 },
  positions: "padding",
  head: { layers: ["classifier.dense", "classifier.out_proj"], between: "tanh" },
  pooler: false,
};

const mpnet: Family = {
  ...roberta,
  className: "MPNet",
  prefix: "mpnet.",
  spelling: {
    words: "embeddings.word_embeddings",
    positions: "embeddings.position_embeddings",
    norm: "embeddings.LayerNorm",
    distances: "encoder.relative_attention_bias",
    layer: {
      ...bert.spelling.layer,
      query: "encoder.layer.#.attention.attn.q",
      key: "encoder.layer.#.attention.attn.k",
      value: "encoder.layer.#.attention.attn.v",
      projection: "encoder.layer.#.attention.attn.o",
      attentionNorm: "encoder.layer.#.attention.LayerNorm",
    },
  },
  defaults: { depth: 12, vocabulary: 30527, padId: 1 },
  paddingIndex: 1,
};

export const FAMILIES: Readonly<Record<string, Family>> = {
  bert,
  distilbert,
  roberta,
  "xlm-roberta": { ...roberta, className: "XLMRoberta", defaults: { depth: 12, vocabulary: 30522, padId: 1 } },
  camembert: { ...roberta, className: "Camembert", defaults: { depth: 12, vocabulary: 30522, padId: 1 } },
  mpnet,
};
