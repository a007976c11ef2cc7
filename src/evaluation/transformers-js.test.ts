/** Merged folders in transformers.js: it writes and says what glora does. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { env, pipeline } from "@huggingface/transformers";
import { beforeAll, expect, test } from "vitest";
import { mergeModel } from "../adapters/export.node.js";
import { inference } from "../adapters/inference.js";
import { unlabelledTexts } from "../data/text/unlabelled-texts.node.js";
import type { Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import { outputsOf } from "./evaluate.js";
import { noStories, randomAdapter, runtime, scratch, stories } from "./generation/generation.fixtures.js";
import { generate } from "./generation/generator.js";
import { predict } from "./predict.js";

beforeAll(() => {
  env.allowRemoteModels = false;
});

async function written(model: Model, prompts: readonly string[], maxTokens: number): Promise<string[]> {
  const texts = [...prompts];
  for await (const { prompt, text } of generate(model, prompts, { maxTokens })) texts[prompt] += text;
  return texts;
}

const int64 = (rows: number[][]) =>
  ({ dtype: "int64", shape: [rows.length, rows[0]!.length], data: BigInt64Array.from(rows.flat(), BigInt) }) as const;

test.skipIf(noStories)(
  "a merged decoder: text-generation writes the same text, greedily",
  async () => {
    const base = await openModel(stories, { runtime });
    const out = join(scratch, "merged-stories");
    const { report, onnxFolder } = await mergeModel(randomAdapter(base, 3), out, {
      inputs: {
        input_ids: int64([
          [1, 403, 407, 261, 378],
          [1, 410, 261, 300, 4],
        ]),
      },
    });
    expect(onnxFolder).toBe(out);
    expect(report.logits).toBeLessThan(report.logitsLimit);
    expect((await readdir(out)).sort()).toEqual(
      ["config.json", "model.safetensors", "onnx", "tokenizer.json", "tokenizer_config.json"].sort(),
    );

    const prompts = ["Once upon a time", "Lily and Tom", "The sun"];
    const ours = await written(await openModel(out, { runtime }), prompts, 60);
    env.localModelPath = dirname(out);
    const generator = await pipeline("text-generation", basename(out));
    const theirs: string[] = [];
    for (const prompt of prompts) {
      const answer = await generator(prompt, { max_new_tokens: 60, do_sample: false });
      theirs.push((answer as { generated_text: string }[])[0]!.generated_text);
    }
    await generator.dispose();
    expect(ours).toEqual(theirs);
    expect(ours).not.toEqual(await written(base, prompts, 60)); // the adapter acts
  },
  60_000,
);

const words = "the a cat dog sat ran on in mat and fast slow bird sang . !".split(" ");
const sentences = ["the cat sat", "a bird sang !", "dog", "fast and slow"];

/** The fixture's model with a tokenizer of its 21 tokens beside it. */
async function encoderFolder(fixture: string): Promise<string> {
  const from = fileURLToPath(new URL(`../../test/fixtures/bert/${fixture}`, import.meta.url));
  const folder = join(scratch, `base-${fixture}`);
  await mkdir(folder);
  for (const file of ["config.json", "model.safetensors"]) await copyFile(join(from, file), join(folder, file));
  const { pad_token_id: padId } = JSON.parse(await readFile(join(from, "config.json"), "utf8"));
  const tokens = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words];
  tokens.splice(padId, 0, "[PAD]");
  const id = (token: string): number => tokens.indexOf(token);
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  await writeFile(
    join(folder, "tokenizer.json"),
    JSON.stringify({
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: special.map((content) => ({ id: id(content), content, ...flags })),
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: { type: "BertProcessing", sep: ["[SEP]", id("[SEP]")], cls: ["[CLS]", id("[CLS]")] },
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(tokens.map((token, i) => [token, i])),
      },
    }),
  );
  const names = {
    unk_token: "[UNK]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    sep_token: "[SEP]",
    mask_token: "[MASK]",
  };
  await writeFile(
    join(folder, "tokenizer_config.json"),
    JSON.stringify({ tokenizer_class: "BertTokenizer", model_max_length: 9, ...names }),
  );
  return folder;
}

/** A merged encoder, its sentences as we read them, and where transformers.js finds it. */
async function mergedEncoder(fixture: string, pooling?: string) {
  const folder = await encoderFolder(fixture);
  if (pooling) {
    await mkdir(join(folder, "1_Pooling"));
    await writeFile(join(folder, "1_Pooling", "config.json"), JSON.stringify({ pooling_mode: pooling }));
  }
  const base = await openModel(folder, { runtime });
  const trained = base.head ? base : base.withTask({ kind: "similarity" });
  const file = join(scratch, `${fixture}.txt`);
  await writeFile(file, `${sentences.join("\n")}\n`);
  const texts = await unlabelledTexts(file);
  const { split } = await texts.prepare(base.input);
  const out = join(scratch, `merged-${fixture}`);
  const { report } = await mergeModel(randomAdapter(trained, 5), out, { inputs: await split.inputs([0, 1, 2, 3]) });
  expect(report.logits).toBeLessThan(report.logitsLimit);
  env.localModelPath = dirname(out);
  return { model: await openModel(out, { runtime }), split, name: basename(out) };
}

test.each(["bert", "camembert", "distilbert", "mpnet", "roberta"])(
  "a merged %s: text-classification",
  async (fixture) => {
    const { model, split, name } = await mergedEncoder(fixture);
    const classify = await pipeline("text-classification", name);
    const answers = (await classify(sentences, { top_k: 10 })) as unknown as { label: string; score: number }[][];
    let i = 0;
    for await (const { label, labels, probability, logits } of predict(model, split)) {
      const scores = Object.fromEntries(answers[i]!.map((answer) => [answer.label, answer.score]));
      // Float32 in two orders of arithmetic.
      if (labels) for (const [known, p] of Object.entries(labels)) expect(scores[known]).toBeCloseTo(p, 5);
      else if (logits.length > 1) {
        expect(answers[i]![0]!.label).toBe(label);
        expect(answers[i]![0]!.score).toBeCloseTo(probability!, 5);
      }
      i++;
    }
    expect(i).toBe(sentences.length);
    await classify.dispose();
  },
  60_000,
);

test.each([
  ["bert-bare", "mean"],
  ["mpnet-bare", "cls"],
  ["roberta-bare", undefined],
] as const)(
  "a merged %s: feature-extraction, pooled by %s",
  async (fixture, pooling) => {
    const { model, split, name } = await mergedEncoder(fixture, pooling);
    const { graph, feeds } = inference(model);
    const session = await runtime.open(graph);
    const ours = await outputsOf(session, split, { feeds });
    await session.dispose();
    const extract = await pipeline("feature-extraction", name);
    const theirs = (await extract(sentences, { pooling: pooling ?? "mean" })).data as Float32Array;
    expect(theirs.length).toBe(ours.length);
    ours.forEach((value, i) => {
      expect(theirs[i]).toBeCloseTo(value, 5);
    });
    await extract.dispose();
  },
  60_000,
);
