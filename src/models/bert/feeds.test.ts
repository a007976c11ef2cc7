import { expect, test } from "vitest";
import type { Tensor } from "../../base/tensor.js";
import { parseBertConfig } from "./config.js";
import { checkFeeds } from "./feeds.js";

const config = parseBertConfig(
  { model_type: "bert", vocab_size: 10, max_position_embeddings: 4, type_vocab_size: 2 },
  "config.json",
);
const int64 = (shape: number[], ...values: number[]): Tensor => ({
  dtype: "int64",
  shape,
  data: BigInt64Array.from(values, BigInt),
});
const ids = int64([2, 2], 1, 2, 3, 9);

test("what fits is let pass", () => {
  checkFeeds({ input_ids: ids, attention_mask: int64([2, 2], 1, 1, 0, 1) }, config);
  checkFeeds({ input_ids: ids, token_type_ids: int64([2, 2], 0, 1, 1, 0) }, config);
});

test.each<[string, Record<string, Tensor>, string]>([
  ["nothing", {}, "input_ids: int64 [texts, tokens] expected, found nothing."],
  [
    "numbers of 32 bits",
    { input_ids: { dtype: "int32", shape: [1, 2], data: Int32Array.of(1, 2) } },
    "input_ids: int64 [1, 2] expected, found int32 [1, 2].",
  ],
  ["a single list", { input_ids: int64([2], 1, 2) }, "input_ids: int64 [texts, tokens] expected, found int64 [2]."],
  [
    "a mask of another size",
    { input_ids: ids, attention_mask: int64([2, 1], 1, 1) },
    "attention_mask: int64 [2, 2] expected, found int64 [2, 1].",
  ],
  ["no text", { input_ids: int64([0, 2]) }, "input_ids: at least one text of one token is expected, found [0, 2]."],
  [
    "a token that is none",
    { input_ids: int64([1, 2], 3, 10) },
    "input_ids: 10 is none of the model's, which are 0 to 9. Do tokenizer and model belong together?",
  ],
  [
    "a third text",
    { input_ids: ids, token_type_ids: int64([2, 2], 0, 0, 2, 0) },
    "token_type_ids: 2 is none of the model's, which are 0 to 1.",
  ],
  [
    "a long text",
    { input_ids: int64([1, 5], 1, 2, 3, 4, 5) },
    "input_ids: 5 tokens are more than the 4 that the model has positions for. Cut the texts.",
  ],
])("refused: %s", (_what, inputs, text) => {
  expect(() => checkFeeds(inputs, config)).toThrow(
    expect.objectContaining({ code: "DATA", message: expect.stringContaining(text) }),
  );
});
