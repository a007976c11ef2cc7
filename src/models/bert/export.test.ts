import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Task } from "../../data/task.js";
import { readJson } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import type { Runtime } from "../../runtime/runtime.js";
import type { ExportOptions } from "../model.js";
import { openModelFolder } from "../open.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/bert/", import.meta.url));

/** What a fixture's folder says once it is a model for a task, and the names of its tensors then. */
async function exported(name: string, task?: Task, o: Partial<ExportOptions> = {}) {
  const folder = await openFolder(fixtures + name);
  const base = await openModelFolder(folder, {} as Runtime);
  const model = task ? base.withTask(task) : base;
  const { config, rename = (tensor) => tensor } = model.exportSpec({ addedBiases: false, ...o });
  const tensors = [...base.checkpoint.tensors.keys()].filter((tensor) => !/layer\.\d/.test(tensor));
  const written = tensors.flatMap((tensor) => rename(tensor) ?? []);
  const head = model.head?.layers.map((layer) => rename(`${layer.name}.weight`)?.replace(".weight", ""));
  return { raw: await readJson(folder, "config.json"), config, written, head };
}

const classes: Task = { kind: "classes", labels: ["a", "b", "c"] };

test("what is kept changes nothing", async () => {
  for (const name of ["bert", "bert-bare", "distilbert-masked-lm"]) {
    const { raw, config, written } = await exported(name);
    expect(config).toEqual(raw);
    expect(written.some((tensor) => /^(classifier|pooler|vocab_transform)\./.test(tensor))).toBe(true);
  }
});

test("a new head brings its labels and its problem; what else is written stays", async () => {
  const { raw, config } = await exported("roberta", classes);
  const head = {
    id2label: { 0: "a", 1: "b", 2: "c" },
    label2id: { a: 0, b: 1, c: 2 },
    problem_type: "single_label_classification",
  };
  expect(config).toEqual({ ...(raw as object), ...head });
  const multi = await exported("roberta", { kind: "multi-label", labels: ["a", "b"] });
  expect(multi.config).toMatchObject({ problem_type: "multi_label_classification" });
  expect((await exported("distilbert", { kind: "regression", labels: ["x"] })).config).toMatchObject({
    id2label: { 0: "x" },
    problem_type: "regression",
  });
});

describe("a base becomes its family's classifier", () => {
  test("a bare one gets the prefix; BERT's pooler comes along", async () => {
    const { config, written, head } = await exported("bert-bare", classes);
    expect(config).toMatchObject({ architectures: ["BertForSequenceClassification"] });
    expect(written).toEqual([
      "bert.embeddings.LayerNorm.bias",
      "bert.embeddings.LayerNorm.weight",
      "bert.embeddings.position_embeddings.weight",
      "bert.embeddings.token_type_embeddings.weight",
      "bert.embeddings.word_embeddings.weight",
      "bert.pooler.dense.bias",
      "bert.pooler.dense.weight",
    ]);
    expect(head).toEqual(["classifier"]);
  });

  test("RoBERTa's classifier has no pooler", async () => {
    const { config, written, head } = await exported("roberta-bare", classes);
    expect(config).toMatchObject({ architectures: ["RobertaForSequenceClassification"] });
    expect(written.filter((tensor) => tensor.includes("pooler"))).toEqual([]);
    expect(written.every((tensor) => tensor.startsWith("roberta.embeddings."))).toBe(true);
    expect(head).toEqual(["classifier.dense", "classifier.out_proj"]);
  });

  test("the head that it was trained with is left out", async () => {
    const bert = await exported("bert-masked-lm", classes);
    expect(bert.written.every((tensor) => tensor.startsWith("bert.embeddings."))).toBe(true);
    expect(bert.head).toEqual(["bert.pooler.dense", "classifier"]);
    const distilbert = await exported("distilbert-masked-lm", classes);
    expect(distilbert.written.every((tensor) => tensor.startsWith("distilbert.embeddings."))).toBe(true);
    expect(distilbert.head).toEqual(["pre_classifier", "classifier"]);
  });
});

test("a classifier for similarity is the encoder alone", async () => {
  const { config, written } = await exported("mpnet", { kind: "similarity" });
  expect(config).toMatchObject({ architectures: ["MPNetModel"], model_type: "mpnet" });
  for (const field of ["id2label", "label2id", "problem_type"]) expect(config).not.toHaveProperty(field);
  expect(written.filter((tensor) => tensor.startsWith("classifier"))).toEqual([]);
  expect(written).toContain("mpnet.encoder.relative_attention_bias.weight");
});

test("the stored type is said", async () => {
  expect((await exported("bert", undefined, { dtype: "BF16" })).config).toMatchObject({ dtype: "bfloat16" });
});
