import { expect, test } from "vitest";
import cases from "../../../test/fixtures/vit-config/cases.fixtures.json" with { type: "json" };
import { missingConfig, parseVitConfig } from "./config.js";

const timm = { architecture: "vit_tiny_patch16_224" };
const hf = { model_type: "vit" };

// Configs that the libraries saved, and the models that they then built: scripts/fixtures/vit-config.py.
test.each(Object.entries(cases))("%s", (_title, { library, config, facts }) => {
  expect(parseVitConfig(config, "config.json")).toMatchObject({ library, ...facts });
});

test("labels are the model's own, in the order of its classes", () => {
  const labels = (config: object) => parseVitConfig(config, "config.json").labels;
  const two = { num_classes: 2 };
  expect(labels({ ...timm, ...two, label_names: ["cat", "dog"] })).toEqual(["cat", "dog"]);
  expect(labels({ ...timm, ...two, pretrained_cfg: { label_names: ["cat", "dog"] } })).toEqual(["cat", "dog"]);
  expect(labels({ ...timm, ...two, label_names: { 1: "dog", 0: "cat" } })).toEqual(["cat", "dog"]);
  expect(labels({ ...timm, ...two, label_names: { 0: "cat", 7: "dog" } })).toBeUndefined(); // timm allows gaps
  expect(labels({ ...timm, ...two })).toBeUndefined();
  expect(labels({ ...hf, id2label: { 1: "dog", 0: "cat", 2: "ox" } })).toEqual(["cat", "dog", "ox"]);
  expect(labels(hf)).toEqual(["LABEL_0", "LABEL_1"]); // transformers writes no id2label for these
  expect(labels({ ...hf, num_labels: 0 })).toBeUndefined();
  expect(labels({ ...hf, architectures: ["ViTModel"], id2label: { 0: "a" } })).toBeUndefined();
});

test("a tag of timm that ends with ImageNet-1k says whose names the 1,000 classes have", () => {
  const labelSet = (config: object) => parseVitConfig({ ...timm, ...config }, "config.json").labelSet;
  const tagged = (tag: string) => ({ pretrained_cfg: { tag } });
  expect(labelSet(tagged("fb_in1k"))).toBe("imagenet-1k");
  expect(labelSet({ architecture: "vit_tiny_patch16_224.augreg_in21k_ft_in1k" })).toBe("imagenet-1k");
  expect(labelSet(timm)).toBeUndefined();
  expect(labelSet(tagged("augreg_in21k"))).toBeUndefined();
  expect(labelSet({ ...tagged("fb_in1k"), num_classes: 5 })).toBeUndefined();
  const own = Array.from({ length: 1000 }, (_, i) => `c${i}`);
  expect(labelSet({ ...tagged("fb_in1k"), label_names: own })).toBeUndefined();
});

test("the classes of timm: model_args over the root over pretrained_cfg over what the tag implies", () => {
  const classes = (config: object) => parseVitConfig({ ...timm, ...config }, "config.json").classes;
  const [args, published] = [{ num_classes: 3 }, { num_classes: 5 }];
  expect(classes({ model_args: args, num_classes: 4, pretrained_cfg: published })).toBe(3);
  expect(classes({ num_classes: 4, pretrained_cfg: published })).toBe(4);
  expect(classes({ pretrained_cfg: published })).toBe(5);
  expect(classes({ pretrained_cfg: { tag: "augreg_in21k" } })).toBe(21843);
});

test("what older configs leave to the root counts", () => {
  expect(parseVitConfig({ ...timm, global_pool: "avg" }, "c")).toMatchObject({ pool: "avg", finalNorm: "fc_norm" });
  const flat = { ...timm, input_size: [1, 64, 32], num_classes: 9 }; // one flat object, before pretrained_cfg
  expect(parseVitConfig(flat, "c")).toMatchObject({ imageSize: [64, 32], channels: 1, classes: 9 });
});

test("the loss is the library's own", () => {
  const loss = (config: object) => parseVitConfig(config, "config.json").loss;
  expect(loss({ ...timm, num_classes: 1 })).toBe("cross-entropy");
  expect(loss(hf)).toBe("cross-entropy");
  expect(loss({ ...hf, num_labels: 1 })).toBe("mse");
  expect(loss({ ...hf, num_labels: 3, problem_type: "regression" })).toBe("mse");
});

test("an empty list of architectures names none", () => {
  expect(parseVitConfig({ ...hf, architectures: [] }, "c").architecture).toBe("ViTForImageClassification");
});

test("a file may state every fact itself; then the weights tell the library", () => {
  const facts = {
    image_size: [32, 48],
    patch_size: 8,
    hidden_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    intermediate_size: 50,
    hidden_act: "quick_gelu",
    layer_norm_eps: 1e-5,
    qkv_bias: false,
    num_labels: 0,
  };
  expect(parseVitConfig(facts, "facts.json", "timm")).toMatchObject({
    library: "timm",
    imageSize: [32, 48],
    hidden: 50,
    activation: "quick_gelu",
    epsilon: 1e-5,
    qkvBias: false,
    classes: 0,
  });
  const { layer_norm_eps: _eps, num_labels: _labels, ...less } = facts;
  expect(() => parseVitConfig(less, "facts.json")).toThrow(
    "facts.json:\n  - layer_norm_eps: is missing\n  - num_labels: is missing (0: no head)",
  );
  const error = missingConfig("models/x");
  expect(error.code).toBe("CONFIG");
  for (const fact of Object.keys(facts)) expect(error.message).toContain(fact);
  expect(error.message).toContain("--config FILE");
  expect(error.message).toContain("timm's name, such as vit_base_patch16_224");
});

test.each<[string, unknown, string]>([
  [
    "an unknown architecture",
    { architecture: "vit_so999m_patch16_256" },
    'the architecture "vit_so999m_patch16_256" is not known: it may need what is not built here.',
  ],
  ["an unknown architecture, the list", { architecture: "x" }, "Known:\n  aimv2_1b_patch14_{224,336,448}, "],
  [
    "an architecture with another block",
    { architecture: "vit_base_patch16_xp_224.datacompxl" },
    `the architecture "vit_base_patch16_xp_224.datacompxl" needs timm's ParallelScalingBlock, which is not supported. For a ViT`,
  ],
  ["beit", { model_type: "beit" }, 'c.json: model_type "beit" is not supported. Known: vit, vit_msn, vit_mae,'],
  [
    "another head",
    { ...hf, architectures: ["ViTForMaskedImageModeling"] },
    'architecture "ViTForMaskedImageModeling" is not supported',
  ],
])("refused as a model: %s", (_what, config, text) => {
  expect(() => parseVitConfig(config, "c.json")).toThrow(
    expect.objectContaining({ code: "MODEL", message: expect.stringContaining(text) }),
  );
});

test.each<[string, unknown, string]>([
  ["a number for the architecture", { architecture: 5 }, "c.json: architecture: a text is expected, not 5"],
  ["a number for the family", { model_type: 5 }, "c.json: model_type: a text is expected, not 5"],
  [
    "labels that fill the memory",
    { ...hf, num_labels: 1e9 },
    "num_labels: at most 1000000 is expected, not 1000000000",
  ],
  ["no object", [1], "the file: an object is expected, not a list of 1"],
  ["text for a number", { ...hf, hidden_size: "x" }, 'hidden_size: a positive whole number is expected, not "x"'],
  [
    "a negative number",
    { ...hf, num_hidden_layers: -1 },
    "num_hidden_layers: a positive whole number is expected, not -1",
  ],
  [
    "three sizes",
    { ...hf, image_size: [1, 2, 3] },
    "image_size: a positive whole number or [height, width] is expected, not a list of 3",
  ],
  ["eps of zero", { ...hf, layer_norm_eps: 0 }, "layer_norm_eps: a positive number is expected, not 0"],
  [
    "an unknown activation",
    { ...hf, hidden_act: "gelu_10" },
    'hidden_act: one of gelu, gelu_python, gelu_new, gelu_fast, gelu_accurate, gelu_pytorch_tanh, gelu_python_tanh, quick_gelu, silu, swish, relu is expected, not "gelu_10"',
  ],
  ["an activation from the prototype", { ...hf, hidden_act: "constructor" }, 'is expected, not "constructor"'],
  ["labels with a gap", { ...hf, id2label: { 0: "a", 2: "b" } }, "id2label.1: is missing; a text is expected"],
  [
    "several answers",
    { ...hf, problem_type: "multi_label_classification" },
    "problem_type: one of single_label_classification, regression is expected",
  ],
  [
    "heads of another size",
    { ...hf, head_dim: 32 },
    "head_dim: is not supported unless it is hidden_size / num_attention_heads (64)",
  ],
  ["quantized weights", { ...hf, quantization_config: {} }, "quantization_config: quantized weights are not supported"],
  ["heads that do not divide", { ...hf, num_attention_heads: 7 }, "a width of 768 cannot be shared by 7 heads"],
  [
    "patches larger than the image",
    { ...hf, image_size: [32, 8], patch_size: 16 },
    "patches of 16,16 pixels do not fit into an image of 32,8",
  ],
  ["another MLP", { ...timm, model_args: { mlp_layer: "SwiGLU" } }, "model_args.mlp_layer: is not supported"],
  ["padded patches", { ...timm, model_args: { dynamic_img_pad: true } }, "dynamic_img_pad: only false is supported"],
  ["another attention", { ...timm, model_args: { attn_layer: "diff" } }, 'attn_layer: only "attn" is supported'],
  [
    "a layer scale of words",
    { ...timm, model_args: { init_values: "x" } },
    "init_values: a positive number is expected",
  ],
  [
    "another norm",
    { ...timm, model_args: { norm_layer: "batchnorm" } },
    'model_args.norm_layer: one of layernorm, rmsnorm is expected, not "batchnorm"',
  ],
  [
    "a norm that only names of architectures imply",
    { ...timm, model_args: { norm_layer: "layernorm-1e-5" } },
    'model_args.norm_layer: one of layernorm, rmsnorm is expected, not "layernorm-1e-5"',
  ],
  [
    "two kinds of norms",
    { ...timm, model_args: { embed_norm_layer: "rmsnorm" } },
    "model_args.embed_norm_layer: must be the norm_layer",
  ],
  [
    "another activation",
    { ...timm, model_args: { act_layer: "mish" } },
    'model_args.act_layer: one of gelu, gelu_tanh, quick_gelu, silu, swish, relu is expected, not "mish"',
  ],
  [
    "no pooling",
    { ...timm, model_args: { global_pool: "" } },
    'model_args.global_pool: one of token, avg, max, avgmax, map, prr is expected, not ""',
  ],
  [
    "another pooling of a distilled model",
    { architecture: "deit_tiny_distilled_patch16_224", model_args: { global_pool: "avg" } },
    "model_args.global_pool: a distilled model has token",
  ],
  [
    "registers of a distilled model",
    { architecture: "deit_tiny_distilled_patch16_224", model_args: { reg_tokens: 1 } },
    "model_args.reg_tokens: a distilled model has 0",
  ],
  [
    "contradicting poolings",
    { ...timm, global_pool: "token", model_args: { global_pool: "avg" } },
    'model_args.global_pool: contradicts the "token" at the root of the file',
  ],
  [
    "no class token to pool",
    { ...timm, model_args: { class_token: false } },
    "model_args.class_token: false needs another global_pool than token",
  ],
  [
    "too few labels",
    { ...timm, num_classes: 3, label_names: ["a"] },
    "label_names: 3 texts are expected (num_classes), not a list of 1",
  ],
  [
    "a flat input size",
    { ...timm, pretrained_cfg: { input_size: [224, 224] } },
    "pretrained_cfg.input_size: [channels, height, width] is expected",
  ],
])("refused as a config: %s", (_what, config, text) => {
  expect(() => parseVitConfig(config, "c.json")).toThrow(
    expect.objectContaining({ code: "CONFIG", message: expect.stringContaining(text) }),
  );
});

test("all problems are told at once", () => {
  const config = { ...timm, model_args: { depth: 0, num_heads: 5, swiglu: true, act_layer: 3 }, num_classes: -1 };
  expect(() => parseVitConfig(config, "vit/config.json")).toThrow(
    [
      "vit/config.json:",
      "  - model_args.swiglu: is not supported",
      "  - num_classes: a natural number is expected, not -1",
      "  - model_args.depth: a positive whole number is expected, not 0",
      "  - model_args.act_layer: one of gelu, gelu_tanh, quick_gelu, silu, swish, relu is expected, not 3",
      "  - a width of 192 cannot be shared by 5 heads",
    ].join("\n"),
  );
});
