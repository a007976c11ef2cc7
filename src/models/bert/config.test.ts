import { expect, test } from "vitest";
import { maxTokens, paddingToken, parseBertConfig } from "./config.js";

const parse = (config: object, classifies = false) => parseBertConfig(config, "config.json", classifies);
const bert = { model_type: "bert", architectures: ["BertModel"] };

test("what a config leaves out is the library's default", () => {
  const common = { width: 768, heads: 12, hidden: 3072, activation: "gelu", positions: 512, epsilon: 1e-12 };
  expect(parse(bert)).toMatchObject({ ...common, depth: 12, vocabulary: 30522, padId: 0, tokenTypes: 2 });
  expect(parse({ model_type: "distilbert" })).toMatchObject({ ...common, depth: 6, vocabulary: 30522, tokenTypes: 0 });
  expect(parse({ model_type: "roberta" })).toMatchObject({ ...common, vocabulary: 50265, padId: 1, paddingIndex: 1 });
  expect(parse({ model_type: "mpnet" })).toMatchObject({
    ...common,
    vocabulary: 30527,
    tokenTypes: 0,
    distanceBuckets: 32,
  });
});

test("DistilBERT has names of its own, and one epsilon", () => {
  const distilbert = { model_type: "distilbert", dim: 8, n_layers: 2, n_heads: 4, hidden_dim: 16, activation: "relu" };
  expect(parse({ ...distilbert, layer_norm_eps: 0.1 })).toMatchObject({
    width: 8,
    depth: 2,
    heads: 4,
    hidden: 16,
    activation: "relu",
    epsilon: 1e-12,
  });
});

test("positions begin behind the padding index: RoBERTa's is the config's, MPNet's is 1", () => {
  const of = (family: string, config: object = {}) => maxTokens(parse({ model_type: family, ...config }));
  expect(of("bert", { pad_token_id: 7 })).toBe(512);
  expect(of("roberta", { max_position_embeddings: 514 })).toBe(512);
  expect(of("xlm-roberta", { pad_token_id: 3 })).toBe(508);
  expect(of("mpnet", { pad_token_id: 3 })).toBe(510);
});

test("no token, or one counted from the end, may be set aside for padding", () => {
  const row = (pad_token_id: number | null) => paddingToken(parse({ ...bert, vocab_size: 50, pad_token_id }));
  expect([row(3), row(-1), row(null)]).toEqual([3, 49, undefined]);
});

test("the class is the config's; where it says none, the weights tell", () => {
  expect(parse(bert).labels).toEqual([]);
  expect(parse({ model_type: "bert" }, true)).toMatchObject({
    architecture: "BertForSequenceClassification",
    labels: ["LABEL_0", "LABEL_1"],
    loss: "cross-entropy",
  });
  expect(parse({ model_type: "camembert", architectures: [] }).architecture).toBe("CamembertModel");
  expect(parse({ model_type: "xlm-roberta", architectures: ["XLMRobertaForMaskedLM"] }).labels).toEqual([]);
  expect(() => parse({ ...bert, architectures: ["BertForQuestionAnswering"] })).toThrow(
    expect.objectContaining({
      code: "MODEL",
      message:
        'config.json: architecture "BertForQuestionAnswering" is not supported; ' +
        "BertModel, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification are.",
    }),
  );
});

test.each<[string, object, string]>([
  ["a decoder", { is_decoder: true }, "is_decoder: only false is supported: an encoder"],
  ["cross attention", { add_cross_attention: true }, "add_cross_attention: only false is supported"],
  [
    "relative positions",
    { position_embedding_type: "relative_key" },
    'position_embedding_type: only "absolute" is supported',
  ],
  ["an unknown activation", { hidden_act: "mish" }, "hidden_act: one of gelu, gelu_python, gelu_new"],
  ["an activation from the prototype", { hidden_act: "constructor" }, 'is expected, not "constructor"'],
  ["heads that do not divide", { num_attention_heads: 7 }, "a width of 768 cannot be shared by 7 heads"],
  ["padding that is no token", { pad_token_id: 30522 }, "pad_token_id: 30522 is not in the vocabulary of 30522 tokens"],
  ["quantized weights", { quantization_config: {} }, "quantization_config: quantized weights are not supported"],
  [
    "positions that end before the text",
    { model_type: "roberta", architectures: [], max_position_embeddings: 2 },
    "2 position embeddings (max_position_embeddings) end in front of the first token, which has number 2",
  ],
  [
    "too few buckets",
    { model_type: "mpnet", architectures: [], relative_attention_num_buckets: 16 },
    "relative_attention_num_buckets: a positive whole number is expected, not 16",
  ],
])("refused: %s", (_what, config, text) => {
  expect(() => parse({ ...bert, ...config })).toThrow(
    expect.objectContaining({ code: "CONFIG", message: expect.stringContaining(text) }),
  );
});

test("all problems are told at once", () => {
  expect(() => parse({ ...bert, hidden_size: "x", is_decoder: true, vocab_size: 0 })).toThrow(
    [
      "config.json:",
      "  - vocab_size: a positive whole number is expected, not 0",
      '  - hidden_size: a positive whole number is expected, not "x"',
      "  - is_decoder: only false is supported: an encoder",
    ].join("\n"),
  );
});
