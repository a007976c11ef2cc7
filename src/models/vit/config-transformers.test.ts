import { expect, test } from "vitest";
import { parseVitConfig } from "./config.js";
import { asClassifier, shapeProblem } from "./config-transformers.js";

const parse = (config: object) => parseVitConfig(config, "config.json");
const named = (modelType: string, architecture: string, fields: object = {}) =>
  parse({ model_type: modelType, architectures: [architecture], ...fields });

// What models compute is compared with PyTorch's in vit.test.ts; here what a config leaves to its family.
test("a config that says nothing is filled with the defaults of its family", () => {
  const defaults = (modelType: string) => {
    const { architecture, patchSize, epsilon, activation, pool } = parse({ model_type: modelType });
    return [architecture, patchSize[0], epsilon, activation, pool];
  };
  // transformers 5.23: the configs' classes.
  expect(defaults("vit")).toEqual(["ViTForImageClassification", 16, 1e-12, "gelu", "token"]);
  expect(defaults("vit_msn")).toEqual(["ViTMSNForImageClassification", 16, 1e-6, "gelu", "token"]);
  expect(defaults("vit_mae")).toEqual(["ViTMAEModel", 16, 1e-12, "gelu", "token"]);
  expect(defaults("ijepa")).toEqual(["IJepaForImageClassification", 16, 1e-12, "gelu", "avg"]);
  expect(defaults("deit")).toEqual(["DeiTForImageClassification", 16, 1e-12, "gelu", "token"]);
  expect(defaults("dinov2")).toEqual(["Dinov2ForImageClassification", 14, 1e-6, "gelu", "token-and-avg"]);
  expect(defaults("dinov2_with_registers").slice(1)).toEqual([16, 1e-6, "gelu", "token-and-avg"]);
  expect(defaults("clip")).toEqual(["CLIPModel", 32, 1e-5, "quick_gelu", "token"]);
  expect(defaults("clip_vision_model")).toEqual(["CLIPVisionModel", 32, 1e-5, "quick_gelu", "token"]);
  expect(defaults("siglip")).toEqual(["SiglipModel", 16, 1e-6, "gelu_tanh", "map"]);
  expect(defaults("siglip_vision_model")).toEqual(["SiglipVisionModel", 16, 1e-6, "gelu_tanh", "map"]);
});

test("tokens of the families", () => {
  expect(parse({ model_type: "deit" })).toMatchObject({ classToken: true, distillationToken: true, positions: "all" });
  expect(parse({ model_type: "ijepa" })).toMatchObject({ classToken: false });
  expect(parse({ model_type: "dinov2_with_registers" })).toMatchObject({
    registers: 4,
    positions: "class-and-patches",
  });
  expect(parse({ model_type: "dinov2_with_registers", num_register_tokens: 0 }).registers).toBe(0);
  expect(parse({ model_type: "dinov2", num_register_tokens: 4 }).registers).toBe(0); // no field of this family
});

test("DINOv2 gives the size of its MLP as a ratio; SwiGLU takes two thirds of it, in eights", () => {
  const mlp = (fields: object) => {
    const { mlp, hidden, activation } = parse({
      model_type: "dinov2",
      hidden_size: 1536,
      num_attention_heads: 24,
      ...fields,
    });
    return [mlp, hidden, activation];
  };
  expect(mlp({})).toEqual(["plain", 6144, "gelu"]);
  expect(mlp({ use_swiglu_ffn: true })).toEqual(["gated", 4096, "silu"]); // DINOv2-giant
  expect(mlp({ use_swiglu_ffn: true, hidden_size: 24, mlp_ratio: 3 })).toEqual(["gated", 48, "silu"]);
  expect(mlp({ use_swiglu_ffn: true, hidden_size: 48, mlp_ratio: 1.5 })).toEqual(["gated", 48, "silu"]);
});

test("of CLIP and SigLIP the vision model's fields are read, and the labels of the whole", () => {
  const vision_config = { hidden_size: 24, num_attention_heads: 3, image_size: 32, patch_size: 8, qkv_bias: false };
  const text_config = { hidden_size: 99, hidden_act: "none that is known" };
  const whole = { vision_config, text_config, id2label: { 0: "a", 1: "b", 2: "c" } };
  expect(named("clip", "CLIPForImageClassification", whole)).toMatchObject({
    ...{ width: 24, heads: 3, imageSize: [32, 32], classes: 3, labels: ["a", "b", "c"] },
    ...{ qkvBias: true, pool: "avg", finalNorm: "none", embeddingNorm: true, patchBias: false },
  });
  expect(named("siglip", "SiglipForImageClassification", whole)).toMatchObject({
    width: 24,
    pool: "avg",
    finalNorm: "norm",
  });
  // In files of old the second of two says it all: what it leaves out is the default.
  const twice = { vision_config, vision_config_dict: { hidden_size: 1024, num_attention_heads: 16 } };
  expect(parse({ model_type: "clip", ...twice })).toMatchObject({ width: 1024, imageSize: [224, 224] });
});

test("SigLIP without its pooling head gives the mean", () => {
  expect(named("siglip_vision_model", "SiglipVisionModel", { vision_use_head: false }).pool).toBe("avg");
});

test("a model without a head becomes its library's classifier, which may pool in another way", () => {
  const become = (modelType: string, architecture: string) => {
    const { architecture: to, pool, finalNorm } = asClassifier(named(modelType, architecture));
    return [to, pool, finalNorm];
  };
  expect(become("vit_mae", "ViTMAEForPreTraining")).toEqual(["ViTForImageClassification", "token", "norm"]);
  expect(become("deit", "DeiTModel")).toEqual(["DeiTForImageClassification", "token", "norm"]);
  expect(become("dinov2", "Dinov2Model")).toEqual(["Dinov2ForImageClassification", "token-and-avg", "norm"]);
  expect(become("clip_vision_model", "CLIPVisionModel")).toEqual(["CLIPForImageClassification", "avg", "none"]);
  expect(become("siglip", "SiglipModel")).toEqual(["SiglipForImageClassification", "avg", "norm"]);
  // What has one keeps its pooling, DeiT with a teacher both of its heads.
  expect(become("deit", "DeiTForImageClassificationWithTeacher")[1]).toBe("token-and-distillation");
  const timm = parse({ architecture: "vit_tiny_patch16_224" });
  expect(asClassifier(timm)).toBe(timm);
});

test("square images where transformers takes position embeddings for those of a square", () => {
  const of = (modelType: string) => parse({ model_type: modelType, image_size: [28, 28], patch_size: [14, 7] });
  expect(of("dinov2").imageSize).toEqual([28, 28]);
  expect(() => parse({ model_type: "dinov2", image_size: [28, 42] })).toThrow(
    "config.json: image_size: transformers reads Dinov2ForImageClassification for square images alone, not for 28 × 42 pixels",
  );
  expect(parse({ model_type: "dinov2", image_size: [28, 42], patch_size: [14, 21] }).imageSize).toEqual([28, 42]);
  expect(shapeProblem({ ...of("vit"), imageSize: [28, 42] })).toBeUndefined();
  expect(shapeProblem({ ...of("clip_vision_model"), imageSize: [28, 42] })).toContain("not for 28 × 42 pixels");
});

test.each<[string, object, string]>([
  [
    "a relative of another family",
    { model_type: "dinov3_vit" },
    'model_type "dinov3_vit" is not supported. Known: vit, vit_msn, vit_mae, ijepa, deit, dinov2, dinov2_with_registers, clip, clip_vision_model, siglip, siglip_vision_model.',
  ],
  ["a name from the prototype", { model_type: "constructor" }, 'model_type "constructor" is not supported'],
  [
    "another class of a family",
    { model_type: "dinov2", architectures: ["Dinov2Backbone"] },
    'architecture "Dinov2Backbone" is not supported. Known: Dinov2ForImageClassification, Dinov2Model.',
  ],
  [
    "a class of another family",
    { model_type: "deit", architectures: ["ViTModel"] },
    'architecture "ViTModel" is not supported',
  ],
])("refused by name: %s", (_what, config, text) => {
  expect(() => parse(config)).toThrow(
    expect.objectContaining({ code: "MODEL", message: expect.stringContaining(text) }),
  );
});

test("problems of nested fields are named where they stand", () => {
  expect(() => parse({ model_type: "clip", vision_config: { num_hidden_layers: -1 } })).toThrow(
    "config.json: vision_config.num_hidden_layers: a positive whole number is expected, not -1",
  );
});
