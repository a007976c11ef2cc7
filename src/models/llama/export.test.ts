import { expect, test } from "vitest";
import type { ExportOptions } from "../model.js";
import { parseLlamaConfig } from "./config.js";
import { exportLlama } from "./export.js";

const base = { model_type: "llama", architectures: ["LlamaForCausalLM"], torch_dtype: "float16" };
const names = { prefix: "model.", languageHead: "lm_head", labelHead: "score" } as Parameters<
  typeof exportLlama
>[0]["names"];
const exported = (rawConfig: Record<string, unknown>, o: Partial<ExportOptions> = {}) =>
  exportLlama(
    { config: parseLlamaConfig(rawConfig, "config.json"), rawConfig, names, head: undefined, labels: undefined },
    { addedBiases: false, ...o },
  );

test("a model that is written as it was says what it said", () => {
  expect(exported(base)).toEqual({ config: base });
});

test("added biases are said by the flags that the family has", () => {
  const flags = (config: Record<string, unknown>) => exported(config, { addedBiases: true }).config;
  expect(flags(base)).toEqual({ ...base, attention_bias: true, mlp_bias: true });
  expect(flags({ model_type: "qwen3" })).toEqual({ model_type: "qwen3", attention_bias: true });
  expect(flags({ model_type: "qwen2" })).toEqual({ model_type: "qwen2" });
});

test("the stored type is said under the name that the file has for it", () => {
  expect(exported(base, { dtype: "BF16" }).config).toEqual({ ...base, torch_dtype: "bfloat16" });
  expect(exported({ model_type: "phi3" }, { dtype: "F32" }).config).toEqual({ model_type: "phi3", dtype: "float32" });
});
