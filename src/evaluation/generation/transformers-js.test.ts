/** Merged folders in transformers.js: it writes and says what glora does. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { env, pipeline } from "@huggingface/transformers";
import { beforeAll, expect, test } from "vitest";
import { mergeModel } from "../../adapters/export.node.js";
import type { Model } from "../../models/model.js";
import { openModel } from "../../models/open.node.js";
import { noStories, randomAdapter, runtime, scratch, stories } from "./generation.fixtures.js";
import { generate } from "./generator.js";

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

test.skipIf(noStories)("a merged decoder: text-generation writes the same text, greedily", async () => {
  const base = await openModel(stories, { runtime });
  const out = join(scratch, "merged-stories");
  const { report, onnxFolder } = await mergeModel(randomAdapter(base, 3), out, {
    inputs: { input_ids: int64([[1, 403, 407, 261, 378], [1, 410, 261, 300, 4]]) },
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
}, 60_000);
