import { expect, test } from "vitest";
import type { TensorEntry } from "../../formats/safetensors.js";
import { memorySource } from "../../formats/source.js";
import { parseLlamaConfig } from "./config.js";
import { checkLlamaTensors } from "./names.js";

const sizes = {
  ...{ hidden_size: 8, intermediate_size: 12, num_hidden_layers: 1, num_attention_heads: 4, num_key_value_heads: 2 },
  ...{ head_dim: 4, vocab_size: 10 },
};
const config = (more: object) => parseLlamaConfig({ model_type: "llama", ...sizes, ...more }, "config.json");

const source = memorySource("model.safetensors", new Uint8Array());
const checkpoint = (shapes: Record<string, number[]>, dtype: TensorEntry["dtype"] = "BF16") => ({
  tensors: new Map(
    Object.entries(shapes).map(([name, shape]) => [name, { name, dtype, shape, source, offset: 0, length: 0 }]),
  ),
});

const layer = (prefix: string): Record<string, number[]> => ({
  [`${prefix}embed_tokens.weight`]: [10, 8],
  [`${prefix}norm.weight`]: [8],
  [`${prefix}layers.0.input_layernorm.weight`]: [8],
  [`${prefix}layers.0.post_attention_layernorm.weight`]: [8],
  [`${prefix}layers.0.self_attn.q_proj.weight`]: [16, 8],
  [`${prefix}layers.0.self_attn.k_proj.weight`]: [8, 8],
  [`${prefix}layers.0.self_attn.v_proj.weight`]: [8, 8],
  [`${prefix}layers.0.self_attn.o_proj.weight`]: [8, 16],
  [`${prefix}layers.0.mlp.gate_proj.weight`]: [12, 8],
  [`${prefix}layers.0.mlp.up_proj.weight`]: [12, 8],
  [`${prefix}layers.0.mlp.down_proj.weight`]: [8, 12],
});
const head = { "lm_head.weight": [10, 8] };

test("layers in the order of the forward pass, and which can get a bias", () => {
  const { layers } = checkLlamaTensors(checkpoint({ ...layer("model."), ...head }), config({}), "m");
  const short = layers.map(({ name, in: width, out, bias, addableBias }) => [
    name.replace("model.layers.0.", ""),
    width,
    out,
    bias,
    addableBias,
  ]);
  expect(short).toEqual([
    ["self_attn.q_proj", 8, 16, false, true],
    ["self_attn.k_proj", 8, 8, false, true],
    ["self_attn.v_proj", 8, 8, false, true],
    ["self_attn.o_proj", 16, 8, false, true],
    ["mlp.gate_proj", 8, 12, false, true],
    ["mlp.up_proj", 8, 12, false, true],
    ["mlp.down_proj", 12, 8, false, true],
  ]);
  const mistral = config({ model_type: "mistral" });
  const none = checkLlamaTensors(checkpoint({ ...layer("model."), ...head }), mistral, "m").layers;
  expect(none.some((l) => l.addableBias)).toBe(false);
});

test("packed layers are as the checkpoint has them", () => {
  const { layers } = checkLlamaTensors(
    checkpoint({
      ...Object.fromEntries(Object.entries(layer("model.")).filter(([name]) => !/[qkv]_proj|gate|up/.test(name))),
      ...head,
      "model.layers.0.self_attn.qkv_proj.weight": [32, 8],
      "model.layers.0.mlp.gate_up_proj.weight": [24, 8],
    }),
    config({ model_type: "phi3", pad_token_id: 0 }),
    "m",
  );
  expect(layers.map(({ name, out }) => [name.replace(/.*\./, ""), out])).toEqual([
    ["qkv_proj", 32],
    ["o_proj", 8],
    ["gate_up_proj", 24],
    ["down_proj", 8],
  ]);
});

test("buffers, a head beside tied embeddings and names without prefix are no problem", () => {
  const buffers = { "model.layers.0.self_attn.rotary_emb.inv_freq": [2], "model.rotary_emb.inv_freq": [2] };
  const tied = checkLlamaTensors(
    checkpoint({ ...layer("model."), ...head, ...buffers }),
    config({ tie_word_embeddings: true }),
    "m",
  );
  expect(tied.names.prefix).toBe("model.");
  const bare = config({ architectures: ["LlamaModel"] });
  expect(checkLlamaTensors(checkpoint(layer("")), bare, "m").names.embedding).toBe("embed_tokens");
  expect(checkLlamaTensors(checkpoint({ ...layer("model."), ...head }), bare, "m").names.prefix).toBe("model.");
  expect(checkLlamaTensors(checkpoint({ ...layer(""), ...head }), config({}), "m").names.prefix).toBe("");
});

test("every tensor that is missing, unexpected, misshapen or of another type is told in one error", () => {
  const { "model.norm.weight": _, ...lacking } = layer("model.");
  const wrong = checkpoint({
    ...lacking,
    "model.layers.0.self_attn.o_proj.weight": [8, 8],
    "model.layers.0.self_attn.q_norm.weight": [4],
  });
  wrong.tensors.set("model.embed_tokens.weight", { ...wrong.tensors.get("model.embed_tokens.weight")!, dtype: "I8" });
  const check = () => checkLlamaTensors(wrong, config({}), "tiny");
  expect(check).toThrow(/^tiny: the weights do not fit config\.json \(model_type llama\):\n/);
  for (const problem of [
    "missing: model.norm.weight [8]",
    "missing: lm_head.weight [10,8]",
    "misshapen: model.layers.0.self_attn.o_proj.weight [8,8], expected [8,16]",
    "unsupported type: model.embed_tokens.weight I8, expected F32, F16, BF16 or F64",
    "unexpected: model.layers.0.self_attn.q_norm.weight [4]",
  ])
    expect(check).toThrow(problem);
});

test("a depth that the weights do not have is told before any name is made", () => {
  const deep = config({ num_hidden_layers: 90_000_000 });
  expect(() => checkLlamaTensors(checkpoint({ ...layer("model."), ...head }), deep, "tiny")).toThrow(
    "tiny: config.json (model_type llama) says 90000000 layers, but the weights hold 1 layer (model.layers.0 and so on).",
  );
});
