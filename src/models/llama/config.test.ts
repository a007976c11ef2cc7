import { describe, expect, test } from "vitest";
import ropes from "../../../test/fixtures/llama/rope.fixtures.json" with { type: "json" };
import { parseLlamaConfig } from "./config.js";

const parse = (config: object) => parseLlamaConfig(config, "config.json");
const llama = { model_type: "llama" };

// Frequencies of transformers for 2 tokens and for 5,000: scripts/fixtures/llama.py.
test.each(Object.entries(ropes))("rope, %s: the frequencies are transformers'", (_title, { config, ...expected }) => {
  const { rope } = parse(config);
  expect(Math.abs(rope.temperature - expected.temperature)).toBeLessThan(1e-7 * expected.temperature);
  // A few roundings of float32, by 6e-8 each, where PyTorch's power is not the nearest number.
  const close = (found: readonly number[], reference: readonly number[]) => {
    expect(found).toHaveLength(reference.length);
    found.forEach((value, i) => {
      expect(Math.abs(value / reference[i]! - 1)).toBeLessThan(2.5e-7);
    });
  };
  close(rope.frequencies, expected.short);
  const other = rope.beyond?.frequencies;
  if (other === undefined) expect(expected.long).toEqual(expected.short);
  else if (!("factor" in other)) close(other, expected.long);
  else {
    const { from } = rope.beyond!;
    const stretch = (other.factor * 5000) / from - (other.factor - 1);
    const pairs = rope.frequencies.length;
    const stretched = rope.frequencies.map((f, i) => f * stretch ** ((-2 * i) / (2 * pairs - 2)));
    stretched.forEach((value, i) => {
      expect(Math.abs(value / expected.long[i]! - 1)).toBeLessThan(1e-6);
    });
  }
});

test("a config that says nothing is its class's default", () => {
  expect(parse(llama)).toMatchObject({
    ...{ head: "language", vocabulary: 32000, width: 4096, depth: 32, heads: 32, keyValueHeads: 32, headWidth: 128 },
    ...{ hidden: 11008, activation: "silu", epsilon: 1e-6, maxTokens: 2048, tied: false, padId: undefined },
    biases: { inputs: false, output: false, mlp: false },
    flagged: { inputs: true, output: true, mlp: true },
  });
  expect(parse({ model_type: "mistral" })).toMatchObject({ keyValueHeads: 8, hidden: 14336, maxTokens: 131072 });
  expect(parse({ model_type: "mistral", num_key_value_heads: null }).keyValueHeads).toBe(32);
  expect(parse({ model_type: "qwen2" }).biases).toEqual({ inputs: true, output: false, mlp: false });
  expect(parse({ model_type: "qwen2" }).flagged).toEqual({ inputs: false, output: false, mlp: false });
  expect(parse({ model_type: "qwen3", hidden_size: 1024 })).toMatchObject({ headWidth: 128, headNorm: true });
  expect(parse({ model_type: "qwen3", attention_bias: true })).toMatchObject({
    biases: { inputs: true, output: true, mlp: false },
  });
  expect(parse({ model_type: "phi3" })).toMatchObject({ packed: true, epsilon: 1e-5, padId: 32000 });
  expect(parse({ model_type: "phi3", pad_token_id: null }).padId).toBeUndefined();
});

describe("windows", () => {
  const windows = (config: object) => parse({ num_hidden_layers: 3, ...config }).windows;
  const none = [undefined, undefined, undefined];

  test("Mistral has one unless it says null; LLaMA has none; Phi-3 the one it names", () => {
    expect(windows({ model_type: "mistral" })).toEqual([4096, 4096, 4096]);
    expect(windows({ model_type: "mistral", sliding_window: 7 })).toEqual([7, 7, 7]);
    expect(windows({ model_type: "mistral", sliding_window: null })).toEqual(none);
    expect(windows({ ...llama, sliding_window: 7 })).toEqual(none);
    expect(windows({ model_type: "phi3" })).toEqual(none);
    expect(windows({ model_type: "phi3", sliding_window: 7 })).toEqual([7, 7, 7]);
  });

  test("Qwen's counts where it is used, from max_window_layers on, or in the layers listed", () => {
    const qwen = { model_type: "qwen2", sliding_window: 7, max_window_layers: 1 };
    const used = { ...qwen, use_sliding_window: true };
    expect(windows(qwen)).toEqual(none);
    expect(windows(used)).toEqual([undefined, 7, 7]);
    expect(windows({ ...used, sliding_window: null })).toEqual(none);
    const types = ["sliding_attention", "full_attention", "sliding_attention"];
    expect(windows({ ...used, layer_types: types })).toEqual([7, undefined, 7]);
    expect(() => windows({ ...qwen, layer_types: types })).toThrow(
      "config.json: layer_types: sliding_attention needs use_sliding_window and a sliding_window",
    );
    const wrong = "layer_types: 3 of full_attention, sliding_attention are expected";
    expect(() => windows({ ...used, layer_types: ["chunked_attention", ...types.slice(1)] })).toThrow(wrong);
    expect(() => windows({ ...used, layer_types: types.slice(1) })).toThrow(wrong);
  });
});

test("labels and their loss", () => {
  const labelled = { ...llama, architectures: ["LlamaForSequenceClassification"] };
  expect(parse(labelled)).toMatchObject({ labels: ["LABEL_0", "LABEL_1"], loss: "cross-entropy" });
  expect(parse({ ...labelled, id2label: { 1: "b", 0: "a" } }).labels).toEqual(["a", "b"]);
  expect(parse({ ...labelled, num_labels: 1 }).loss).toBe("mse");
  expect(parse({ ...labelled, problem_type: "multi_label_classification" }).loss).toBe("binary-cross-entropy");
  expect(parse({ ...llama, id2label: { 0: "a" } }).labels).toEqual([]);
  expect(parse({ ...llama, architectures: ["LlamaModel"] }).head).toBe("none");
  expect(() => parse({ ...labelled, num_labels: 1e9 })).toThrow("num_labels: at most 1000000 is expected");
});

test("what changes the pass and is not built here is refused, all of it at once", () => {
  const wrong = {
    ...llama,
    ...{ hidden_size: 30, num_attention_heads: 4, num_key_value_heads: 3, hidden_act: "xielu", is_causal: false },
    ...{ quantization_config: {}, pad_token_id: "0", head_dim: 3, partial_rotary_factor: 1.5, mlp_bias: 1 },
    rope_scaling: { type: "mrope" },
  };
  expect(() => parse(wrong)).toThrow(/^config\.json:\n/);
  for (const problem of [
    "num_key_value_heads: 4 heads cannot share 3 evenly",
    "hidden_size: 30 cannot be shared by 4 heads",
    "hidden_act: one of gelu, gelu_python",
    "is_causal: attention to later tokens is not supported",
    "quantization_config: quantized weights are not supported",
    "pad_token_id: a whole number is expected",
    "head_dim: 4 of 3 elements cannot turn in pairs",
    "partial_rotary_factor: 1.5 is not supported",
    "mlp_bias: true or false is expected, not 1",
    'rope_scaling.rope_type: "mrope" is not one of default, linear, dynamic, llama3, yarn, longrope',
  ])
    expect(() => parse(wrong)).toThrow(problem);
});

test("numbers that nothing can be computed with are refused before they fill the memory", () => {
  expect(() => parse({ ...llama, head_dim: 1e9 })).toThrow("head_dim: at most 100000 is expected, not 1000000000");
  expect(() => parse({ ...llama, rms_norm_eps: 1e300 })).toThrow("rms_norm_eps: a positive number is expected");
});

test("scalings that lack a number, or have parameters for kinds of layers", () => {
  const scaled = (rope_parameters: object) => () => parse({ ...llama, rope_parameters });
  expect(scaled({ rope_type: "linear" })).toThrow("rope_parameters.factor: is missing");
  expect(scaled({ rope_type: "llama3", factor: 8 })).toThrow("rope_parameters.low_freq_factor: is missing");
  expect(scaled({ full_attention: { rope_type: "default" } })).toThrow(
    "rope_parameters.full_attention: parameters of their own for a kind of layer are not supported",
  );
  const long = { rope_type: "longrope", short_factor: [1], long_factor: [1, 2] };
  expect(scaled(long)).toThrow("rope_parameters.short_factor: 64 numbers are expected, not 1");
  expect(() => parse({ ...llama, head_dim: 2, rope_scaling: { type: "dynamic", factor: 2 } })).toThrow(
    "head_dim: dynamic scaling needs heads of 4 elements or more",
  );
  expect(() => parse({ model_type: "phi3", rope_scaling: { type: "linear", factor: 2 } })).toThrow(
    'rope_scaling.rope_type: "linear" is not one of default, longrope',
  );
});

test("families and classes that are not known", () => {
  expect(() => parse({})).toThrow("config.json: model_type: is missing");
  expect(() => parse({ model_type: "gemma" })).toThrow(
    'config.json: model_type "gemma" is not one of llama, mistral, qwen2, qwen3, phi3.',
  );
  expect(() => parse({ ...llama, architectures: ["LlamaForTokenClassification"] })).toThrow(
    'architecture "LlamaForTokenClassification" is not supported; known: LlamaForCausalLM, LlamaForSequenceClassification, LlamaModel.',
  );
});
