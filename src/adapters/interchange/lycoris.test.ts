import { describe, expect, test } from "vitest";
import { openAdapter } from "../adapter-file.js";
import { attachAdapter } from "../attach.js";
import { relativeDifference } from "../merge-model.js";
import { runModel } from "../run-model.js";
import { expected, memoryFolder, openBase, openCase } from "./interchange.fixtures.js";

test.each(["vit/lycoris", "vit/lycoris-1.8"])(
  "%s gives the library's logits, which are not the base's",
  async (name) => {
    const { inputs, logits } = await expected(name);
    const model = await openBase("vit");
    const adapted = await runModel(model, inputs, { adapter: await openAdapter(await openCase(name)) });
    // As for PEFT: float32 against PyTorch's.
    expect(relativeDifference(adapted["logits"]!.data as Float32Array, logits)).toBeLessThan(1e-5);
    const plain = (await runModel(model, inputs))["logits"]!.data as Float32Array;
    expect(relativeDifference(plain, logits)).toBeGreaterThan(0.01);
  },
);

test("its A acts as a matrix product, on the layers that its names stand for", async () => {
  const { genome, space } = await attachAdapter(
    await openBase("vit"),
    await openAdapter(await openCase("vit/lycoris-1.8")),
  );
  expect(space.a).toBe("product");
  expect([...genome!.keys()]).toEqual(
    [0, 1].flatMap((i) => [`vit.encoder.layer.${i}.intermediate.dense`, `vit.encoder.layer.${i}.output.dense`]),
  );
});

describe("what is refused", () => {
  const factors = (module: string, rank: number, out = 12, width = 12) => ({
    [`${module}.a1.weight`]: [width, rank],
    [`${module}.a2.weight`]: [rank, width],
    [`${module}.b1.weight`]: [out, rank],
    [`${module}.b2.weight`]: [rank, width],
  });
  const query = "lycoris_vit_layers_0_attention_q_proj";
  const attach = async (tensors: Record<string, readonly number[]>) =>
    attachAdapter(await openBase("vit"), await openAdapter(memoryFolder({ "some.safetensors": tensors })));

  test("an order that no shape tells", async () => {
    await expect(attach(factors(query, 12))).rejects.toThrow(
      "every factor is square, so that nothing tells in which order they are multiplied; save another rank",
    );
    const other = factors("lycoris_vit_layers_1_mlp_fc1", 12, 10);
    expect((await attach({ ...factors(query, 12), ...other })).space.a).toBe("product");
  });

  test.each([
    ["a module of another model", factors("lycoris_unet_in_0", 2), "lycoris_unet_in_0: the model has no such module"],
    [
      "names that start differently",
      { ...factors(query, 2), ...factors("lora_te_vit_layers_1_attention_q_proj", 2) },
      'starts with "lycoris_": the file is for another model',
    ],
    [
      "factors of another size",
      factors(query, 2, 12, 9),
      `${query}: a1 [9, 2], a2 [2, 9], b1 [12, 2], b2 [2, 9] do not fit a layer [12, 12]`,
    ],
    [
      "a tensor that is missing",
      Object.fromEntries(Object.entries(factors(query, 2)).slice(0, 3)),
      `${query}: b2 missing`,
    ],
    [
      "a convolution",
      { ...factors(query, 2), [`${query}.b2.weight`]: [2, 12, 1, 1] },
      `${query}: the factors of a convolution; only linear layers can be adapted`,
    ],
    [
      "another algorithm beside it",
      { ...factors(query, 2), "lycoris_vit_layernorm.w_norm": [12] },
      "lycoris_vit_layernorm.w_norm: no tensor of LyCORIS' glora for a linear layer",
    ],
    [
      "an alpha of several numbers",
      { ...factors(query, 2), [`${query}.alpha`]: [2] },
      `${query}.alpha: one number is expected`,
    ],
    [
      "both orders in one file",
      {
        ...factors(query, 2),
        "lycoris_vit_layers_1_attention_q_proj.a1.weight": [2, 12],
        "lycoris_vit_layers_1_attention_q_proj.a2.weight": [12, 2],
        "lycoris_vit_layers_1_attention_q_proj.b1.weight": [2, 12],
        "lycoris_vit_layers_1_attention_q_proj.b2.weight": [12, 2],
      },
      "some modules hold their factors in one order, some in the other",
    ],
  ])("%s", async (_, tensors, message) => {
    await expect(attach(tensors)).rejects.toThrow(message);
  });
});
