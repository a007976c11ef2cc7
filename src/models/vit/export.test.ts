import { describe, expect, test } from "vitest";
import type { Size } from "../../formats/fields.js";
import type { ExportOptions, Head } from "../model.js";
import { parseVitConfig, type VitLibrary } from "./config.js";
import { asClassifier } from "./config-transformers.js";
import { exportVit } from "./export.js";

/** What a folder with this config.json says after its head has been replaced, or kept. */
function exported(
  rawConfig: Record<string, unknown>,
  o: {
    library?: VitLibrary;
    labels?: readonly string[];
    out?: number;
    imageSize?: Size;
  } & Partial<ExportOptions> = {},
) {
  const { library = "transformers", labels, addedBiases = false, dtype, imageSize } = o;
  const own = parseVitConfig(rawConfig, "config.json", library);
  const name = library === "timm" ? "head" : "classifier";
  const out = o.out ?? labels?.length;
  const pretrained = out === undefined;
  const head = pretrained && own.classes === 0 ? undefined : headOf(name, out ?? own.classes, pretrained);
  const config = { ...(pretrained ? own : asClassifier(own)), ...(imageSize && { imageSize }) };
  return exportVit(
    { config, rawConfig, head, labels: pretrained ? config.labels : labels, resized: imageSize !== undefined },
    { addedBiases, ...(dtype && { dtype }) },
  );
}

const headOf = (name: string, out: number, pretrained: boolean): Head => ({
  layers: [{ name, in: 8, out, bias: true }],
  in: 8,
  out,
  trained: true,
  pretrained,
});

describe("transformers", () => {
  const base = { model_type: "vit", architectures: ["ViTForImageClassification"], id2label: { 0: "x", 1: "y" } };

  test("a head that is kept changes nothing", () => {
    expect(exported(base)).toEqual({ config: base });
  });

  test("a new head brings its labels; what else is written stays", () => {
    const { config } = exported({ ...base, num_labels: 2, hidden_act: "gelu" }, { labels: ["a", "b", "c"] });
    expect(config).toEqual({
      ...base,
      hidden_act: "gelu",
      id2label: { 0: "a", 1: "b", 2: "c" },
      label2id: { a: 0, b: 1, c: 2 },
    });
  });

  test("a classifier in place of a regression is none; one output is a regression, whatever was said", () => {
    const regression = { ...base, id2label: { 0: "height" }, problem_type: "regression" };
    const said = { problem_type: "single_label_classification" };
    expect(exported(regression, { labels: ["a", "b"] }).config).toMatchObject(said);
    // transformers raises "requires num_labels > 1" for the classification of one class.
    for (const of of [base, regression, { ...base, ...said }]) {
      const { config } = exported(of, { labels: ["only"] });
      expect(config).not.toHaveProperty("problem_type");
      expect(parseVitConfig(config, "config.json").loss).toBe("mse");
    }
    expect(exported(regression).config).toEqual(regression);
  });

  test("the stored type is said where the file says it: under its new name or its old one", () => {
    expect(exported(base, { dtype: "F16" }).config).toEqual({ ...base, dtype: "float16" });
    const old = { ...base, torch_dtype: "float32" };
    expect(exported(old, { dtype: "BF16" }).config).toEqual({ ...base, torch_dtype: "bfloat16" });
    expect(exported(old).config).toEqual(old);
  });

  test("added biases", () => {
    expect(exported({ ...base, qkv_bias: false }, { addedBiases: true }).config).toEqual({ ...base, qkv_bias: true });
  });

  test("a bare trunk becomes that of a classifier, without pooler and mask token; one that stays bare keeps its names", () => {
    const bare = { model_type: "vit", architectures: ["ViTModel"] };
    const { config, rename } = exported(bare, { labels: ["a", "b"] });
    expect(config).toMatchObject({ architectures: ["ViTForImageClassification"], id2label: { 0: "a", 1: "b" } });
    const names = ["embeddings.cls_token", "classifier.bias", "pooler.dense.weight", "embeddings.mask_token"];
    expect(names.map(rename!)).toEqual(["vit.embeddings.cls_token", "classifier.bias", undefined, undefined]);
    expect(rename!("vit.embeddings.cls_token")).toBe("vit.embeddings.cls_token"); // of an encoder with a decoder
    expect(exported(bare)).toEqual({ config: bare });
  });

  test("a file of facts gets the family's name, by which the library finds its class", () => {
    const facts = {
      ...{ image_size: 8, patch_size: 4, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 },
      ...{ intermediate_size: 16, hidden_act: "gelu", layer_norm_eps: 1e-6, qkv_bias: true, num_labels: 3 },
    };
    expect(exported(facts).config).toEqual({ ...facts, model_type: "vit" });
    const { num_labels: _, ...rest } = facts;
    const { config, onnxConfig } = exported(facts, { library: "timm", labels: ["a", "b"] });
    expect(config).toMatchObject({ ...rest, id2label: { 0: "a", 1: "b" } });
    expect(config).not.toHaveProperty("model_type"); // names of timm are not transformers'
    expect(onnxConfig).toMatchObject({ model_type: "vit", hidden_size: 8, intermediate_size: 16 });
  });

  test("models without a head become the classifier of their family, and lose what it has not", () => {
    const become = (model_type: string, name: string, ...tensors: string[]) => {
      const { config, rename } = exported({ model_type, architectures: [name] }, { labels: ["a", "b"] });
      return [config["model_type"], config["architectures"], tensors.map(rename!)];
    };
    expect(become("vit_mae", "ViTMAEForPreTraining", "vit.layernorm.bias", "decoder.mask_token")).toEqual([
      "vit",
      ["ViTForImageClassification"],
      ["vit.layernorm.bias", undefined],
    ]);
    expect(become("deit", "DeiTModel", "layernorm.bias", "pooler.dense.bias", "embeddings.mask_token")).toEqual([
      "deit",
      ["DeiTForImageClassification"],
      ["deit.layernorm.bias", undefined, undefined],
    ]);
    expect(become("dinov2", "Dinov2Model", "layernorm.bias", "embeddings.mask_token")).toEqual([
      "dinov2",
      ["Dinov2ForImageClassification"],
      ["dinov2.layernorm.bias", "dinov2.embeddings.mask_token"], // transformers misses it where there is none
    ]);
    const clip = ["vision_model.post_layernorm.bias", "text_model.final_layer_norm.bias", "text_projection.weight"];
    const others = ["visual_projection.weight", "logit_scale", "logit_bias", "vision_model.embeddings.position_ids"];
    expect(become("clip", "CLIPModel", ...clip, ...others)).toEqual([
      "clip",
      ["CLIPForImageClassification"],
      ["vision_model.post_layernorm.bias", ...Array(6).fill(undefined)],
    ]);
    expect(become("siglip_vision_model", "SiglipVisionModel", "head.probe", "classifier.bias")).toEqual([
      "siglip",
      ["SiglipForImageClassification"],
      ["vision_model.head.probe", "classifier.bias"],
    ]);
  });

  test("a vision model's fields move into the config of the whole, where changes are made too", () => {
    const facts = { hidden_size: 24, num_attention_heads: 3, image_size: 32, patch_size: 8 };
    const alone = { model_type: "clip_vision_model", architectures: ["CLIPVisionModel"], dtype: "float32", ...facts };
    const { config } = exported(alone, { labels: ["a", "b"], imageSize: [16, 16], dtype: "F16" });
    expect(config).toEqual({
      model_type: "clip",
      architectures: ["CLIPForImageClassification"],
      dtype: "float16",
      vision_config: { model_type: "clip_vision_model", ...facts, image_size: 16 },
      id2label: { 0: "a", 1: "b" },
      label2id: { a: 0, b: 1 },
    });
    const twice = { model_type: "clip", vision_config: facts, vision_config_dict: facts };
    const resized = { ...facts, image_size: 16 };
    expect(exported(twice, { labels: ["a", "b"], imageSize: [16, 16] }).config).toMatchObject({
      vision_config: resized,
      vision_config_dict: resized,
    });
  });

  test("what transformers.js does not know is a ViT to it", () => {
    const js = (model_type: string, name: string) =>
      exported({ model_type, architectures: [name] }, { labels: ["a", "b"] }).onnxConfig;
    expect(js("deit", "DeiTForImageClassificationWithTeacher")).toBeUndefined();
    expect(js("dinov2_with_registers", "Dinov2WithRegistersModel")).toBeUndefined();
    for (const [type, name] of [
      ["clip_vision_model", "CLIPVisionModel"],
      ["siglip", "SiglipForImageClassification"],
    ] as const)
      expect(js(type, name)).toMatchObject({ model_type: "vit", id2label: { 0: "a", 1: "b" } });
  });

  test("a whole number for a fraction, which transformers would refuse, is left to its default", () => {
    const dinov2 = { model_type: "dinov2", layerscale_value: 1, mlp_ratio: 4, initializer_range: 0.02 };
    const { layerscale_value: _, ...rest } = dinov2;
    expect(exported(dinov2).config).toEqual(rest);
    const clip = {
      model_type: "clip",
      text_config: { initializer_factor: 1 },
      vision_config: {},
      initializer_factor: 1,
    };
    expect(exported(clip).config).toEqual({ model_type: "clip", text_config: {}, vision_config: {} });
  });

  test("a rectangle that transformers could not read is refused", () => {
    expect(() => exported({ model_type: "dinov2" }, { imageSize: [28, 42] })).toThrow(
      "transformers reads Dinov2ForImageClassification for square images alone, not for 28 × 42 pixels. Train it at a square --image-size.",
    );
  });
});

describe("timm", () => {
  const base = {
    architecture: "vit_tiny_patch16_224",
    num_classes: 2,
    model_args: { img_size: [32, 48], num_classes: 2, qkv_bias: false },
    pretrained_cfg: { num_classes: 2, label_names: ["x", "y"], label_descriptions: { x: "an x" }, crop_pct: 1 },
  };
  const timm = (rawConfig: Record<string, unknown>, o: Parameters<typeof exported>[1] = {}) =>
    exported(rawConfig, { ...o, library: "timm" });

  test("a head that is kept changes nothing", () => {
    const { config, onnxConfig, rename } = timm(base);
    expect(config).toEqual(base);
    expect(rename).toBeUndefined();
    expect(onnxConfig).toEqual({
      architectures: ["ViTForImageClassification"],
      model_type: "vit",
      image_size: [32, 48],
      patch_size: 16,
      num_channels: 3,
      hidden_size: 192,
      num_hidden_layers: 12,
      num_attention_heads: 3,
      intermediate_size: 768,
      id2label: { 0: "x", 1: "y" },
      label2id: { x: 0, y: 1 },
    });
  });

  test("a new head is said at the root, and nowhere otherwise; added biases among the arguments", () => {
    expect(timm(base, { labels: ["a", "b", "c"], addedBiases: true }).config).toEqual({
      architecture: "vit_tiny_patch16_224",
      num_classes: 3,
      label_names: ["a", "b", "c"],
      model_args: { img_size: [32, 48], qkv_bias: true },
      pretrained_cfg: { num_classes: 3, crop_pct: 1 },
    });
  });

  test("arguments are added where there are none", () => {
    const bare = { architecture: "vit_tiny_patch16_224", num_classes: 4 };
    expect(timm(bare, { addedBiases: true }).config).toEqual({ ...bare, model_args: { qkv_bias: true } });
  });

  test("labels that are not known are numbered for transformers.js; without a head there are none", () => {
    const nameless = { architecture: "vit_tiny_patch16_224", num_classes: 2 };
    expect(timm(nameless).onnxConfig).toMatchObject({ id2label: { 0: "LABEL_0", 1: "LABEL_1" } });
    const { onnxConfig } = timm({ ...nameless, num_classes: 0 });
    expect(onnxConfig).toMatchObject({ architectures: ["ViTModel"] });
    expect(onnxConfig).not.toHaveProperty("id2label");
  });
});
