import { expect, test } from "vitest";
import type { Folder } from "../../formats/folder.js";
import { memorySource } from "../../formats/source.js";
import { embeddingPooling } from "./pooling.js";

const folder = (config?: object): Folder => ({
  name: "model",
  list: async () => [],
  open: async (file) =>
    config && file === "1_Pooling/config.json"
      ? memorySource(file, new TextEncoder().encode(JSON.stringify(config)))
      : undefined,
});

test("a text is the mean of its tokens, unless sentence-transformers' file says the class token", async () => {
  expect(await embeddingPooling(folder())).toBe("mean");
  const flags = { word_embedding_dimension: 384, pooling_mode_cls_token: false, pooling_mode_max_tokens: false };
  expect(await embeddingPooling(folder({ ...flags, pooling_mode_mean_tokens: true }))).toBe("mean");
  expect(await embeddingPooling(folder({ ...flags, pooling_mode_cls_token: true }))).toBe("first");
  expect(await embeddingPooling(folder({ pooling_mode: "cls" }))).toBe("first");
});

test.each([
  [{ pooling_mode_max_tokens: true }, "pooling by max: only mean or cls is supported"],
  [
    { pooling_mode_mean_tokens: true, pooling_mode_cls_token: true },
    "pooling by mean and cls: only mean or cls is supported",
  ],
  [{ pooling_mode: "constructor" }, "pooling by constructor: only mean or cls is supported"],
  [{}, "pooling by nothing: only mean or cls is supported"],
])("other ways are refused: %j", async (config, text) => {
  await expect(embeddingPooling(folder(config))).rejects.toThrow(
    expect.objectContaining({ code: "CONFIG", message: `model/1_Pooling/config.json: ${text}` }),
  );
});
