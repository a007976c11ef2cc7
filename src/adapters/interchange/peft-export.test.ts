import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { rngStream } from "../../base/rng.js";
import { readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { memorySource } from "../../formats/source.js";
import { headTensors, type Model } from "../../models/model.js";
import { type AdaptedModel, supernet } from "../adapted-model.js";
import { encodeAdapter, openAdapter } from "../adapter-file.js";
import { attachAdapter } from "../attach.js";
import { sizeOf } from "../forms/index.js";
import { relativeDifference } from "../merge-model.js";
import { fixedTable } from "../parameters.js";
import { runModel } from "../run-model.js";
import { createSpace } from "../space.js";
import { type AForm, NO_CHANGE, type Structure } from "../structure.js";
import { exportPeft } from "./export-peft.node.js";
import { expected, memoryFolder, openBase, openCase } from "./interchange.fixtures.js";
import { encodePeft } from "./peft-export.js";

// That PEFT opens these folders and gives the same logits is what scripts/parity/interchange.py checks.

const folder = await mkdtemp(join(tmpdir(), "glora-peft-"));
afterAll(() => rm(folder, { recursive: true }));

/** An adapter of random numbers, as a folder of ours. */
function adapterFolder(model: Model, layers: Record<string, Partial<Structure>>, a: AForm = "elementwise") {
  const rng = rngStream(3, "export");
  const genome = new Map(Object.entries(layers).map(([name, forms]) => [name, { ...NO_CHANGE, ...forms }]));
  const random = (length: number) => Float32Array.from({ length }, () => 0.3 * rng.normal());
  const table = fixedTable(
    genome,
    model.layers.filter(({ name }) => genome.has(name)),
    a,
  );
  const head = headTensors(model.head).map((tensor) => ({ ...tensor, values: random(sizeOf(tensor.shape)) }));
  return memoryFolder(Object.fromEntries(encodeAdapter({ a, genome, table, values: random(table.size), head })));
}

const attachTo = async (
  model: Model,
  ...given: Parameters<typeof adapterFolder> extends [Model, ...infer R] ? R : never
) => attachAdapter(model, await openAdapter(adapterFolder(model, ...given)));

const configOf = ({ files }: Awaited<ReturnType<typeof encodePeft>>) =>
  JSON.parse(new TextDecoder().decode(files.get("adapter_config.json")));

const tensorsOf = async (bytes: Uint8Array) => {
  const { tensors } = await readSafetensors(memorySource("written", bytes));
  const read = [...tensors.values()].map(async (entry) => [entry.name, entry.shape, await readFloat32(entry)] as const);
  return (await Promise.all(read)).sort(([a], [b]) => (a < b ? -1 : 1));
};

const q = (i: number) => `vit.encoder.layer.${i}.attention.attention.query`;
const fc1 = (i: number) => `vit.encoder.layer.${i}.intermediate.dense`;
const llamaQ = (i: number) => `model.layers.${i}.self_attn.q_proj`;
const up = (i: number) => `model.layers.${i}.mlp.up_proj`;

describe("PEFT's own files come back to the bit", () => {
  test.each(["vit/glora-vector", "llama/glora"])("%s", async (name) => {
    const source = await openCase(name);
    const adapted = await attachAdapter(await openBase(name.split("/")[0]!), await openAdapter(source));
    const { type, files } = await encodePeft(adapted);
    expect(type).toBe("GLORA");
    const stored = (await source.open("adapter_model.safetensors"))!;
    const theirs = await stored.read(0, stored.size);
    expect(await tensorsOf(files.get("adapter_model.safetensors")!)).toEqual(await tensorsOf(theirs));
  });
});

test("a layer that is two to transformers is refused by name", async () => {
  const base = await openBase("../vit-transformers/dinov2-bare-swiglu");
  const adapted = await attachTo(base, { "encoder.layer.0.mlp.weights_in": { B: "vector" } });
  await expect(encodePeft(adapted)).rejects.toThrow(
    "PEFT cannot say this adapter: encoder.layer.0.mlp.weights_in is two layers to transformers, gate_proj and up_proj.",
  );
});

describe("another file, the same logits", () => {
  type Case = [string, "LORA" | "GLORA", Record<string, Partial<Structure>>, AForm?];
  const vit: Case[] = [
    [
      "B of several ranks and forms",
      "LORA",
      { [q(0)]: { B: "lora_3" }, [fc1(0)]: { B: "vector" }, [q(1)]: { B: "scalar" } },
    ],
    ["B and E", "LORA", { [q(0)]: { B: "lora_2", E: "vector" }, [fc1(1)]: { E: "scalar" } }],
    ["biases alone", "GLORA", { [q(0)]: { E: "vector" }, [fc1(1)]: { D: "scalar" } }],
    [
      "every form at once",
      "GLORA",
      {
        [q(0)]: { A: "lora_2", B: "scalar", C: "vector", D: "scalar" },
        [q(1)]: { A: "scalar", B: "vector", E: "vector" },
        [fc1(0)]: { A: "vector", B: "lora_3", C: "lora_1", D: "vector", E: "scalar" },
        [fc1(1)]: { C: "lora_2" },
      },
    ],
    [
      "a product A with the rest",
      "LORA",
      { [q(0)]: { A: "lora_2", B: "vector" }, [fc1(1)]: { C: "vector", D: "vector" } },
      "product",
    ],
    ["a head alone", "LORA", {}],
  ];
  const llama: Case[] = [
    ["A and B without biases", "GLORA", { [llamaQ(0)]: { A: "lora_1" }, [up(1)]: { B: "vector" } }],
    ["C and E without biases", "LORA", { [llamaQ(0)]: { C: "lora_2" }, [up(1)]: { B: "lora_1", E: "vector" } }],
  ];
  test.each<[string, ...Case]>([
    ...vit.map((c): [string, ...Case] => ["vit", ...c]),
    ...llama.map((c): [string, ...Case] => ["llama", ...c]),
  ])("%s: %s", async (base, _, type, layers, a) => {
    const model = await openBase(base);
    const { inputs } = await expected(`${base}/lora`);
    const ours = await openAdapter(adapterFolder(model, layers, a));
    const written = await encodePeft(await attachAdapter(model, ours));
    expect(written.type).toBe(type);
    const theirs = await openAdapter(memoryFolder(Object.fromEntries(written.files)));
    const logits = async (adapter: typeof ours) =>
      (await runModel(model, inputs, { adapter }))["logits"]!.data as Float32Array;
    // What is computed for the export (W·C, W·Xd) is rounded once: measured 6e-7.
    expect(relativeDifference(await logits(theirs), await logits(ours))).toBeLessThan(5e-6);
  });
});

test("names are transformers' in memory; ranks that differ are patterns; alpha is the rank", async () => {
  const model = await openBase("vit");
  const written = await encodePeft(
    await attachTo(model, { [q(0)]: { B: "lora_2" }, [q(1)]: { B: "lora_2" }, [fc1(1)]: { B: "vector" } }),
  );
  expect(configOf(written)).toEqual({
    peft_type: "LORA",
    task_type: null,
    base_model_name_or_path: model.name,
    inference_mode: true,
    target_modules: ["vit.layers.0.attention.q_proj", "vit.layers.1.attention.q_proj", "vit.layers.1.mlp.fc1"],
    modules_to_save: ["classifier"],
    bias: "none",
    r: 2,
    lora_alpha: 2,
    rank_pattern: { "vit\\.layers\\.1\\.mlp\\.fc1": 1 },
    alpha_pattern: { "vit\\.layers\\.1\\.mlp\\.fc1": 1 },
    use_rslora: false,
    lora_dropout: 0,
    lora_bias: false,
    fan_in_fan_out: false,
    init_lora_weights: true,
  });
});

test("GLORA has one form for A and B, one for C, one for D and E: the widest; no A or B is a zero, not a matrix of them", async () => {
  const model = await openBase("vit");
  const wide = await encodePeft(
    await attachTo(model, { [q(0)]: { A: "scalar", C: "vector" }, [fc1(1)]: { B: "lora_3" } }),
  );
  expect(configOf(wide)).toMatchObject({ r: 3, config_A_B: "lora", config_C: "vector", config_D_E: "constant" });
  const narrow = await encodePeft(await attachTo(model, { [q(0)]: { E: "vector" } }));
  expect(configOf(narrow)).toMatchObject({ r: 1, config_A_B: "constant", config_C: "none", config_D_E: "vector" });
  expect(
    (await tensorsOf(narrow.files.get("adapter_model.safetensors")!)).map(([name, shape]) => `${name} ${shape}`),
  ).toEqual([
    "base_model.model.classifier.bias 3",
    "base_model.model.classifier.weight 3,12",
    ...["A.X 1", "B.X 1", "C.zeros 12,1", "D.X 12", "E.X 12"].map(
      (part) => `base_model.model.vit.layers.0.attention.q_proj.glora_${part}`,
    ),
  ]);
});

test("a language model's adapter has no head to save", async () => {
  const written = await encodePeft(await attachTo(await openBase("llama"), { [up(0)]: { B: "lora_1" } }));
  expect(configOf(written)).toMatchObject({ task_type: "CAUSAL_LM", modules_to_save: null });
});

describe("what PEFT cannot say", () => {
  const refusal = async (adapted: AdaptedModel, wanted?: "LORA" | "GLORA") =>
    encodePeft(adapted, wanted).then(
      () => "",
      (thrown: Error) => thrown.message,
    );

  test("an element-wise A beside C on a layer without a bias, each told with its layer", async () => {
    const model = await openBase("llama");
    const adapted = await attachTo(model, { [llamaQ(0)]: { A: "vector" }, [up(1)]: { C: "vector", E: "scalar" } });
    expect(await refusal(adapted)).toBe(
      "PEFT cannot say this adapter exactly:\n" +
        `  - as GLORA, ${up(1)}: C and E act on a layer without a bias, where PEFT drops them\n` +
        `  - as LORA, ${llamaQ(0)}: A scales W element by element, which low rank cannot say\n` +
        `Merge it (the merged ${model.name} is a plain model), or train without these supports.`,
    );
  });

  test("the type that is asked for", async () => {
    const product = await attachTo(await openBase("vit"), { [q(0)]: { A: "lora_1" } }, "product");
    expect(await refusal(product, "GLORA")).toContain(
      `as GLORA, ${q(0)}: A multiplies W as a matrix, where PEFT's acts element by element`,
    );
    expect(await refusal(product, "LORA")).toBe("");
  });

  test("a supernet", async () => {
    const model = await openBase("vit");
    const net = supernet(model, createSpace(model.layers), rngStream(1, "net"));
    expect(await refusal(net)).toBe("A supernet has no one structure to export: search one first.");
  });
});

test("a folder is written whole, its files readable by all, and none over another", async () => {
  const adapted = await attachTo(await openBase("vit"), { [q(0)]: { B: "lora_1" } });
  const out = join(folder, "exported");
  expect(await exportPeft(adapted, out)).toBe("LORA");
  expect((await readdir(out)).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  for (const file of await readdir(out)) expect((await stat(join(out, file))).mode & 0o444).toBe(0o444);
  expect(JSON.parse(await readFile(join(out, "adapter_config.json"), "utf8")).peft_type).toBe("LORA");
  await expect(exportPeft(adapted, out)).rejects.toThrow(`${out}: is not empty.`);
});
