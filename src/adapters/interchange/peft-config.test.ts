import { expect, test } from "vitest";
import { parsePeftConfig } from "./peft-config.js";

const parse = (json: object) => parsePeftConfig({ peft_type: "LORA", ...json }, "adapter_config.json");

test("alpha / r, or alpha / √r; PEFT's defaults where a field is missing", () => {
  expect(parse({}).scale("a.q", 8)).toBe(1);
  expect(parse({ lora_alpha: 3, r: 4 }).scale("a.q", 4)).toBe(0.75);
  expect(parse({ lora_alpha: 3, r: 4, use_rslora: true }).scale("a.q", 4)).toBe(1.5);
  expect(parse({}).ranks("a.q")).toEqual([8]);
});

test("a pattern matches whole ends of a name, at a dot; the first counts for alpha, any for the rank", () => {
  const { scale, ranks } = parse({
    rank_pattern: { "layers.1.*": 2, q: 3, "^model.k$": 5, "(?P<x>v|w)": 7 },
    alpha_pattern: { "b.q": 6, q: 12 },
  });
  expect(ranks("model.layers.0.q")).toEqual([3]);
  expect(ranks("model.layers.1.q")).toEqual([2, 3]);
  expect(ranks("model.layers.0.eq")).toEqual([8]);
  expect(ranks("model.k")).toEqual([5]);
  expect(ranks("other.model.k")).toEqual([8]);
  expect(ranks("a.w")).toEqual([7]);
  expect(scale("a.b.q", 3)).toBe(2);
  expect(scale("a.c.q", 3)).toBe(4);
  expect(scale("a.c.k", 8)).toBe(1);
});

test("a pattern with alternatives and repetitions behind each other", () => {
  const layers = Array.from({ length: 80 }, (_, i) => i).join("|");
  const pattern = String.raw`.*layers\.(${layers})\.(self_attn|mlp)\..*(q|k|v|o|gate|up|down)_proj`;
  const { ranks } = parse({ rank_pattern: { [pattern]: 2, [String.raw`.*layers\.\d+\..*fc\d`]: 3 } });
  expect(ranks("model.layers.79.self_attn.q_proj")).toEqual([2]);
  expect(ranks("model.layers.80.self_attn.q_proj")).toEqual([8]);
  expect(ranks("vit.layers.80.mlp.fc1")).toEqual([3]);
});

test.each([
  [{ peft_type: "IA3" }, 'peft_type: "LORA" and "GLORA" are read, not "IA3"'],
  [{ peft_type: { deep: [] } }, 'peft_type: "LORA" and "GLORA" are read, not this'],
  [{ use_dora: true }, "use_dora: DoRA normalises each row"],
  [{ init_lora_weights: "pissa_niter_4" }, 'init_lora_weights: "pissa_niter_4" changes the base\'s weights'],
  [
    { init_lora_weights: "olora" },
    "save it as plain LoRA (path_initial_model_for_weight_conversion of save_pretrained)",
  ],
  [{ layer_replication: [[0, 2]] }, "layer_replication: the model's layers are repeated"],
  [{ trainable_token_indices: [1] }, "trainable_token_indices: single tokens of an embedding are trained"],
  [{ target_parameters: ["w"] }, "target_parameters: parameters that are no linear layer's weight are adapted"],
  [{ alora_invocation_tokens: [1] }, "alora_invocation_tokens: activated LoRA acts on some tokens only"],
  [{ r: 0 }, "r: a positive whole number is expected, not 0"],
  [{ lora_alpha: "8" }, "lora_alpha: a number is expected"],
  [{ rank_pattern: { "(": 3 } }, "rank_pattern.(: is no regular expression"],
  [{ alpha_pattern: { "((\\w)+)+X": 3 } }, "alpha_pattern.((\\w)+)+X: can take hours for a name of a few words"],
  [{ rank_pattern: { ".*.*.*.*X": 3 } }, "rank_pattern..*.*.*.*X: can take hours for a name of a few words"],
])("%j is refused", (json, message) => {
  expect(() => parse(json)).toThrow(message);
});

test("initial values that leave the base alone, empty lists and unknown fields change nothing", () => {
  for (const init of [true, false, "gaussian", "eva", "orthogonal", "mica"])
    expect(parse({ init_lora_weights: init, target_parameters: [], use_dora: false, new_field: 1 }).type).toBe("LORA");
});
