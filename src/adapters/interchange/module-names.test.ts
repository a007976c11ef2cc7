import { expect, test } from "vitest";
import { openModel } from "../../models/open.node.js";
import { openBase } from "./interchange.fixtures.js";
import { moduleNames } from "./module-names.js";

const merge = new URL("../../../test/fixtures/merge/", import.meta.url).pathname;

test("a ViT's modules are found under transformers' names in memory and on disk, with and without the bare model's", async () => {
  const { find, spell } = moduleNames(await openBase("vit"));
  const name = "vit.encoder.layer.1.attention.attention.query";
  for (const other of ["vit.layers.1.attention.q_proj", "layers.1.attention.q_proj", name, name.slice("vit.".length)])
    expect(find(other)).toBe(name);
  expect(spell(name)).toBe("vit.layers.1.attention.q_proj");
  expect(spell("vit.encoder.layer.0.attention.output.dense")).toBe("vit.layers.0.attention.o_proj");
  expect(spell("vit.encoder.layer.0.output.dense")).toBe("vit.layers.0.mlp.fc2");
  expect(spell("classifier")).toBe("classifier");
  expect(find("vit.layers.2.attention.q_proj")).toBeUndefined();
});

test("a bare ViT gets the name that it has inside a model with a head", async () => {
  const bare = await openModel(`${merge}transformers`);
  const name = "encoder.layer.0.intermediate.dense";
  expect(moduleNames(bare).spell(name)).toBe("layers.0.mlp.fc1");
  const names = moduleNames(bare.withTask({ kind: "classes", labels: ["a"] }));
  expect(names.spell(name)).toBe("vit.layers.0.mlp.fc1");
  expect(names.find("vit.layers.0.mlp.fc1")).toBe(name);
  expect(moduleNames(bare).find("classifier")).toBe("classifier");
  await bare.runtime.dispose();
});

// Names in memory: transformers 5.23, `model.named_modules()` of the classes.
test("modules of the ViT's relatives", async () => {
  const relatives = new URL("../../../test/fixtures/vit-transformers/", import.meta.url).pathname;
  const namesOf = async (name: string, labels?: string[]) => {
    const model = await openModel(relatives + name);
    await model.runtime.dispose();
    return moduleNames(labels ? model.withTask({ kind: "classes", labels }) : model);
  };
  const deit = await namesOf("deit-teacher");
  expect(deit.spell("deit.encoder.layer.0.output.dense")).toBe("deit.layers.0.mlp.fc2");
  expect(deit.find("deit.layers.0.attention.k_proj")).toBe("deit.encoder.layer.0.attention.attention.key");
  expect(deit.find("cls_classifier")).toBe("cls_classifier");

  const dinov2 = await namesOf("dinov2");
  const query = "dinov2.encoder.layer.0.attention.attention.query";
  expect(dinov2.spell(query)).toBe("dinov2.encoder.layer.0.attention.q_proj");
  expect(dinov2.find("dinov2.encoder.layer.0.attention.q_proj")).toBe(query);
  expect(dinov2.find("dinov2.encoder.layer.0.mlp.fc1")).toBe("dinov2.encoder.layer.0.mlp.fc1");
  const swiglu = await namesOf("dinov2-bare-swiglu", ["a", "b"]);
  expect(swiglu.spell("encoder.layer.0.mlp.weights_out")).toBe("dinov2.encoder.layer.0.mlp.down_proj");
  expect(swiglu.isFused("encoder.layer.0.mlp.weights_in")).toBe(true);
  expect(dinov2.isFused("dinov2.encoder.layer.0.mlp.fc1")).toBe(false);

  const clip = await namesOf("clip");
  const fc1 = "vision_model.encoder.layers.0.mlp.fc1";
  expect(clip.spell(fc1)).toBe(fc1);
  expect(clip.find("encoder.layers.0.mlp.fc1")).toBe(fc1);
  const siglip = await namesOf("siglip-bare", ["a", "b"]);
  expect(siglip.spell("encoder.layers.0.self_attn.q_proj")).toBe("vision_model.encoder.layers.0.self_attn.q_proj");
});

test("timm's and a language model's names are the checkpoint's own", async () => {
  const timm = await openModel(`${merge}timm`);
  expect(moduleNames(timm).spell("blocks.0.attn.qkv")).toBe("blocks.0.attn.qkv");
  expect(moduleNames(timm).spell("head")).toBe("head");
  await timm.runtime.dispose();
  const { find, spell } = moduleNames(await openBase("llama"));
  expect(spell("model.layers.0.mlp.up_proj")).toBe("model.layers.0.mlp.up_proj");
  expect(find("layers.0.mlp.up_proj")).toBe("model.layers.0.mlp.up_proj");
  expect(find("score")).toBe("score"); // the head of a classifier made of it
});

test("names whose dots became underscores are found by their end", async () => {
  const { findFlat } = moduleNames(await openBase("vit"));
  const module = "vit.encoder.layer.0.intermediate.dense";
  expect(findFlat("lycoris_vit_layers_0_mlp_fc1")).toEqual([{ module, prefix: "lycoris_" }]);
  expect(findFlat("layers_0_mlp_fc1")).toEqual([{ module, prefix: "" }]);
  expect(findFlat("lycoris_vit_layers_9_mlp_fc1")).toEqual([]);
});
