import { describe, expect, test } from "vitest";
import { adaptedGraph } from "../adapted-graph.js";
import { openAdapter } from "../adapter-file.js";
import { attachAdapter, toAdapter } from "../attach.js";
import { logitsOf, mergedTensors, relativeDifference, withWeights } from "../merge-model.js";
import { runModel } from "../run-model.js";
import { expected, memoryFolder, openBase, openCase } from "./interchange.fixtures.js";

/** Float32 against PyTorch's float32, both with sums of at most 20 numbers in networks of two blocks: measured 2e-6. */
const LIMIT = 1e-5;

const cases = [
  "vit/lora",
  "vit/lora-patterns", // rslora, rank_pattern, alpha_pattern, bfloat16
  "vit/lora-bias-all", // norms and patch embedding too, and biases of lora_B
  "vit/lora-bias-only",
  "vit/lora-modules", // a norm saved whole, a convolution and the head adapted
  "vit/lora-named", // the adapter's name in the keys, modules as on disk
  "vit/glora-lora",
  "vit/glora-vector",
  "vit/glora-constant",
  "vit/glora-none",
  "llama/lora", // the output layer too
  "llama/glora",
  "llama/score", // a language model's weights with a classifier
];

describe.each(cases)("PEFT's %s", (name) => {
  const base = name.split("/")[0]!;

  test("gives PEFT's logits, which are not the base's", async () => {
    const { inputs, logits } = await expected(name);
    const model = await openBase(base);
    const adapted = await runModel(model, inputs, { adapter: await openAdapter(await openCase(name)) });
    expect(relativeDifference(adapted["logits"]!.data as Float32Array, logits)).toBeLessThan(LIMIT);
    const plain = (await runModel(model, inputs))["logits"]!.data as Float32Array;
    expect(relativeDifference(plain.slice(0, logits.length), logits.slice(0, plain.length))).toBeGreaterThan(0.01);
  });

  test("merges into a plain model of the same logits", async () => {
    const { inputs, logits } = await expected(name);
    const adapted = await attachAdapter(await openBase(base), await openAdapter(await openCase(name)));
    const merged = new Map(
      await Promise.all(
        mergedTensors(adapted).map(async ({ name, shape, values }) => {
          const bytes = new Uint8Array((await values()).slice().buffer);
          return [name, { shape, data: { kind: "inline", dtype: "float32", bytes } }] as const;
        }),
      ),
    );
    // Over the base's own weights, so that what is not among the merged ones is missed.
    const plain = withWeights({ ...adapted.model, weights: (await openBase(base)).weights }, merged);
    const found = await logitsOf(plain, adaptedGraph(plain, { head: "frozen" }), plain.feeds(inputs));
    expect(relativeDifference(found, logits)).toBeLessThan(LIMIT);
  });
});

test("scaling is folded into the factors; a trained bias becomes E", async () => {
  const model = await openBase("vit");
  const { genome } = await attachAdapter(model, await openAdapter(await openCase("vit/lora-patterns")));
  const forms = Object.fromEntries([...genome!].map(([name, { B }]) => [name, B]));
  expect(forms).toMatchObject({
    "vit.encoder.layer.0.attention.attention.query": "lora_1",
    "vit.encoder.layer.0.attention.attention.key": "lora_4",
    "vit.encoder.layer.1.intermediate.dense": "lora_3",
  });
  const biased = await attachAdapter(model, await openAdapter(await openCase("vit/lora-bias-only")));
  expect([...biased.genome!].map(([name, { B, E }]) => [name, B, E])).toEqual([
    ["vit.encoder.layer.1.attention.attention.key", "lora_1", "vector"],
    ["vit.encoder.layer.1.output.dense", "lora_1", "vector"],
  ]);
  expect(biased.replaced!.size).toBe(0);
});

test("GLORA's own forms stay as they are; zeros and what PEFT drops on bias-free layers are none", async () => {
  const none = await attachAdapter(await openBase("vit"), await openAdapter(await openCase("vit/glora-none")));
  expect([...none.genome!.values()]).toEqual(
    Array(2).fill({ A: "none", B: "none", C: "lora_3", D: "vector", E: "vector" }),
  );
  const llama = await attachAdapter(await openBase("llama"), await openAdapter(await openCase("llama/glora")));
  expect([...llama.genome!.values()]).toEqual(
    Array(4).fill({ A: "lora_2", B: "lora_2", C: "none", D: "none", E: "none" }),
  );
});

test("an adapter that replaces weights of the base cannot be saved as ours", async () => {
  const adapted = await attachAdapter(await openBase("vit"), await openAdapter(await openCase("vit/lora-modules")));
  expect([...adapted.replaced!.keys()].sort()).toEqual([
    "vit.embeddings.patch_embeddings.projection.weight",
    "vit.layernorm.bias",
    "vit.layernorm.weight",
  ]);
  expect(() => toAdapter(adapted)).toThrow("which a glora adapter cannot hold: merge it.");
});

describe("what is refused", () => {
  const vit = "base_model.model.vit.layers.0.attention.q_proj";
  const attach = async (tensors: Record<string, readonly number[]>, config: object = { r: 2 }, base = "vit") => {
    const folder = memoryFolder({
      "adapter_config.json": { peft_type: "LORA", ...config },
      "adapter_model.safetensors": tensors,
    });
    return attachAdapter(await openBase(base), await openAdapter(folder));
  };

  test("DoRA, as PEFT wrote it", async () => {
    await expect(openCase("vit/dora").then(openAdapter)).rejects.toThrow(
      "vit/dora/adapter_config.json: use_dora: DoRA normalises each row of the adapted weight; only plain LoRA is read. " +
        "Merge it with PEFT first",
    );
  });

  test.each([
    ["no tensors", {}, "adapter_model.safetensors holds no tensors"],
    ["a tensor of DoRA", { [`${vit}.lora_magnitude_vector`]: [12] }, "DoRA normalises each row"],
    ["an embedding", { "base_model.model.embed.lora_embedding_A": [2, 9] }, "LoRA of an embedding; only linear layers"],
    ["another tuner's tensor", { [`${vit}.lora_diag`]: [2] }, "no tensor of plain LoRA or GLORA"],
    [
      "single tokens",
      { "base_model.model.embed.token_adapter.trainable_tokens_delta": [1, 2] },
      "single tokens of an embedding are trained",
    ],
    [
      "a module of another model",
      { "base_model.model.vit.layers.7.attention.q_proj.lora_A.weight": [2, 12] },
      "the model has no module vit.layers.7.attention.q_proj",
    ],
    [
      "half of a product",
      { [`${vit}.lora_A.weight`]: [2, 12] },
      "vit.layers.0.attention.q_proj: lora_B.weight is missing",
    ],
    [
      "another rank than the config's",
      { [`${vit}.lora_A.weight`]: [3, 12], [`${vit}.lora_B.weight`]: [12, 3] },
      "adapter_config.json says rank 2, but lora_A.weight is [3, 12]",
    ],
    [
      "two adapters in one file",
      { [`${vit}.lora_A.one.weight`]: [2, 12], [`${vit}.lora_A.two.weight`]: [2, 12] },
      "a second adapter of this module; give one adapter a folder",
    ],
    [
      "a module of another size",
      { "base_model.model.vit.layernorm.weight": [13] },
      "vit.layernorm.weight: expected [12], found [13]",
    ],
    [
      "factors that do not fit the layer",
      { [`${vit}.lora_A.weight`]: [2, 13], [`${vit}.lora_B.weight`]: [12, 2] },
      "expected vit.encoder.layer.0.attention.attention.query.B.Xu of shape [2, 12], found [2, 13]",
    ],
    [
      "factors that do not fit the head",
      { "base_model.model.classifier.lora_A.weight": [2, 13], "base_model.model.classifier.lora_B.weight": [3, 2] },
      "classifier: support B: expected Xu of shape [2, 12], found [2, 13]",
    ],
  ])("%s", async (_, tensors, message) => {
    await expect(attach(tensors)).rejects.toThrow(message);
  });

  test("numbers that are not finite, wherever they are", async () => {
    const config = { peft_type: "LORA", r: 1, lora_alpha: 1e39 };
    const folder = memoryFolder({
      "adapter_config.json": config,
      "adapter_model.safetensors": { [`${vit}.lora_A.weight`]: [1, 12], [`${vit}.lora_B.weight`]: [12, 1] },
    });
    const opened = await openAdapter(folder);
    await expect(openBase("vit").then((model) => attachAdapter(model, opened))).rejects.toThrow("holds Infinity");
  });

  test("an embedding that a tied output layer shares, unless both are meant", async () => {
    const model = await openBase("llama");
    const weights = new Map([...model.weights].filter(([name]) => name !== "lm_head.weight"));
    const tied = { ...model, weights };
    const put = async (config: object) => {
      const folder = memoryFolder({
        "adapter_config.json": { peft_type: "LORA", ...config },
        "adapter_model.safetensors": { "base_model.model.model.embed_tokens.weight": [20, 12] },
      });
      return (await openAdapter(folder)).translate!(tied);
    };
    await expect(put({})).rejects.toThrow(
      "model.embed_tokens.weight: the model's output layer shares these weights, and the adapter replaces them for the input alone",
    );
    expect([...(await put({ ensure_weight_tying: true })).replaced.keys()]).toEqual(["model.embed_tokens.weight"]);
  });

  test("an adapted output layer that has no weights but the embedding's", async () => {
    const model = await openBase("llama");
    const weights = new Map([...model.weights].filter(([name]) => name !== "lm_head.weight"));
    const folder = memoryFolder({
      "adapter_config.json": { peft_type: "LORA", r: 1 },
      "adapter_model.safetensors": {
        "base_model.model.lm_head.lora_A.weight": [1, 12],
        "base_model.model.lm_head.lora_B.weight": [20, 1],
      },
    });
    const opened = await openAdapter(folder);
    await expect(opened.translate!({ ...model, weights })).rejects.toThrow(
      "base_model.model.lm_head.lora_A.weight: the model's output layer shares the embedding's weights, and cannot have its own",
    );
  });

  test("a folder without safetensors", async () => {
    const config = { peft_type: "LORA" };
    await expect(openAdapter(memoryFolder({ "adapter_config.json": config }))).rejects.toThrow(
      "given: has no adapter_model.safetensors.",
    );
    const pickled = memoryFolder({ "adapter_config.json": config, "adapter_model.bin": new Uint8Array(4) });
    await expect(openAdapter(pickled)).rejects.toThrow("adapter_model.bin is a Python pickle, which is not read");
  });
});
