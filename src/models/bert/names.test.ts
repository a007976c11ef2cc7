import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../formats/checkpoint.js";
import { readJson } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import type { TensorEntry } from "../../formats/safetensors.js";
import { memorySource } from "../../formats/source.js";
import { type BertConfig, parseBertConfig } from "./config.js";
import { checkBertTensors } from "./names.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/bert/", import.meta.url));

async function open(name: string) {
  const folder = await openFolder(fixtures + name);
  const config = parseBertConfig(await readJson(folder, "config.json"), "config.json");
  return { config, tensors: new Map((await openCheckpoint(folder)).tensors) };
}

const check = (tensors: ReadonlyMap<string, TensorEntry>, config: BertConfig) =>
  checkBertTensors({ tensors }, config, "model");

const source = memorySource("model.safetensors", new Uint8Array());
const entry = (name: string, shape: number[], dtype: TensorEntry["dtype"] = "F32"): [string, TensorEntry] => [
  name,
  { name, dtype, shape, source, offset: 0, length: 0 },
];

// Folders that transformers saved: scripts/fixtures/bert.py.
describe.each(readdirSync(fixtures).filter((name) => !name.endsWith(".json")))("%s", (name) => {
  test("every tensor has its place", async () => {
    const { config, tensors } = await open(name);
    const { layers, unused } = check(tensors, config);
    expect(layers).toHaveLength(6 * config.depth);
    for (const layer of layers) {
      expect(tensors.get(`${layer.name}.weight`)!.shape).toEqual([layer.out, layer.in]);
      expect(tensors.get(`${layer.name}.bias`)!.shape).toEqual([layer.out]);
    }
    // What is left out belongs to the base's own training, or to nobody.
    for (const tensor of unused)
      expect(tensor).toMatch(/^cls\.|^vocab_|^(roberta|mpnet)?\.?pooler\.dense\.(weight|bias)$/);
  });
});

test("buffers of older checkpoints are let be, and not named", async () => {
  const { config, tensors } = await open("bert");
  const older = new Map([...tensors, entry("bert.embeddings.position_ids", [1, 512], "I64")]);
  expect(check(older, config).unused).toEqual(check(tensors, config).unused);
});

test("a pooler is BERT's own; RoBERTa's and MPNet's stand behind nothing", async () => {
  const poolerOf = async (name: string) => {
    const { config, tensors } = await open(name);
    const { names, unused } = check(tensors, config);
    return [names.pooler, names.head, unused.filter((tensor) => tensor.includes("pooler")).length];
  };
  expect(await poolerOf("bert")).toEqual(["bert.pooler.dense", ["classifier"], 0]);
  expect(await poolerOf("bert-bare")).toEqual(["pooler.dense", ["classifier"], 0]);
  expect(await poolerOf("bert-masked-lm")).toEqual([undefined, ["bert.pooler.dense", "classifier"], 0]);
  expect(await poolerOf("roberta-bare")).toEqual([undefined, ["classifier.dense", "classifier.out_proj"], 2]);
  expect(await poolerOf("mpnet-bare")).toEqual([undefined, ["classifier.dense", "classifier.out_proj"], 2]);
});

test("all that is missing, misshapen and unexpected is told at once", async () => {
  const { config, tensors } = await open("bert");
  tensors.delete("bert.pooler.dense.bias");
  tensors.delete("bert.encoder.layer.1.attention.self.key.bias");
  for (const [name, shape] of [
    ["bert.embeddings.position_embeddings.weight", [8, 12]],
    ["bert.encoder.layer.0.crossattention.self.query.weight", [12, 12]],
  ] as const)
    tensors.set(...entry(name, [...shape]));
  tensors.set(...entry("classifier.bias", [3], "I8"));
  expect(() => check(tensors, config)).toThrow(
    expect.objectContaining({
      code: "MODEL",
      message: [
        "model: the weights do not fit config.json (BertForSequenceClassification):",
        "  - misshapen: bert.embeddings.position_embeddings.weight [8,12], expected [9,12]",
        "  - missing: bert.encoder.layer.1.attention.self.key.bias [12]",
        "  - missing: bert.pooler.dense.bias [12]",
        "  - unsupported type: classifier.bias I8, expected F32, F16, BF16 or F64",
        "  - unexpected: bert.encoder.layer.0.crossattention.self.query.weight [12,12]",
      ].join("\n"),
    }),
  );
});

test("a depth far above the file's is told as such, without a name for each layer", async () => {
  const { config, tensors } = await open("bert");
  expect(() => check(tensors, { ...config, depth: 10_000_000 })).toThrow(
    expect.objectContaining({
      code: "MODEL",
      message:
        "model: config.json (BertForSequenceClassification) says 10000000 layers, but the weights hold 2 layers (bert.encoder.layer.0 and so on). " +
        "Give the config and the weights of one model.",
    }),
  );
});
